{{ landed_feed('owid_co2') }}
