-- Generated from fvi_pipeline/feeds/catalogue by `python -m fvi_pipeline.feeds.generate`: change the description.
{{ landed_feed('owid_co2') }}
