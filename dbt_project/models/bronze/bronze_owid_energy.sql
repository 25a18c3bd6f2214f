{{ landed_feed('owid_energy') }}
