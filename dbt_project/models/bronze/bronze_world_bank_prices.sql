{{ landed_feed('world_bank_prices') }}
