{{ landed_feed('eia_coal_mines') }}
