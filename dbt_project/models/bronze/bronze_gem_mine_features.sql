{{ landed_feed('gem_mine_features') }}
