{{ landed_feed('gem_coal_mines') }}
