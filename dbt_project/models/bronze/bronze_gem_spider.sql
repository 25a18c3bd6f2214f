{# Both feeds name the wiki page of a mine; a page may describe several mines, and a mine may be named by both. #}
with

named as (

    select
        gem_mine_id,
        mine_name,
        country,
        wiki_url,
        file_id,
        'gem_coal_mines' as feed
    from {{ source('landing', 'gem_coal_mines') }}

    union all

    select
        gem_mine_id,
        mine_name,
        country,
        wiki_url,
        file_id,
        'gem_mine_features' as feed
    from {{ source('landing', 'gem_mine_features') }}

),

pages as (

    select
        named.gem_mine_id,
        -- some addresses carry a stray ' &' or blank behind them
        (regexp_match(named.wiki_url, 'https?://[^\s]+'))[1] as wiki_url,
        named.mine_name,
        named.country,
        named.feed,
        files.known_at
    from named
    inner join {{ source('landing', 'files') }} as files on files.file_id = named.file_id
    where named.gem_mine_id is not null

),

addresses as (

    select
        wiki_url,
        gem_mine_id,
        (array_agg(mine_name order by known_at desc, mine_name))[1] as mine_name,
        (array_agg(country order by known_at desc, country))[1] as country,
        array_agg(distinct feed order by feed) as feeds,
        min(known_at) as known_at
    from pages
    where wiki_url is not null
    group by wiki_url, gem_mine_id

)

select
    addresses.wiki_url,
    addresses.gem_mine_id,
    addresses.mine_name,
    addresses.country,
    addresses.feeds,
    addresses.known_at,
    coalesce(spider.state, 'new') as fetch_state,
    spider.page_title,
    spider.revision_id,
    spider.revision_at,
    spider.fetched_revision_id,
    spider.checked_at,
    spider.fetched_at,
    spider.error as fetch_error,
    spider.document_id
from addresses
left join {{ source('landing', 'wiki_pages') }} as spider on spider.wiki_url = addresses.wiki_url
