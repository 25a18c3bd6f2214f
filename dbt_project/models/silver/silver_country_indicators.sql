{#
    What publishers' APIs state about countries, one row per fact and span of time in which it was stated so. An answer
    that states a fact unchanged begins no span; one of the same query that leaves a fact out, or states no value for it,
    ends its span.
#}
with

indicators as (

    select
        code,
        indicator,
        unit
    from (
        values
        ('NY.GDP.PCAP.CD', 'gdp_per_person', 'U.S. dollars of the year'),
        ('NY.GDP.COAL.RT.ZS', 'coal_rents', '% of GDP'),
        ('EG.ELC.COAL.ZS', 'electricity_from_coal', '% of electricity'),
        ('NGDP_RPCH', 'real_gdp_growth', '% a year'),
        ('PCPIPCH', 'inflation', '% a year')
    ) as described (code, indicator, unit)

),

-- the mine tracker's spelling of each country, by way of its ISO code
countries as (

    select distinct on (iso_code)
        iso_code,
        country
    from {{ ref('silver_country_energy') }}
    where iso_code ~ '^[A-Z]{3}$'
    order by iso_code, known_at desc, country

),

stated as (

    select
        publisher,
        coalesce(country_iso3, country) as country_code,
        country as published_country,
        indicator_code as code,
        as_of_year,
        value,
        file_id,
        file_name,
        row_number,
        known_at,
        known_at_rule
    from {{ ref('bronze_world_bank_indicators') }}

    union all

    select
        publisher,
        country_code,
        null as published_country,
        indicator_code as code,
        as_of_year,
        value,
        file_id,
        file_name,
        row_number,
        known_at,
        known_at_rule
    from {{ ref('bronze_imf_outlook') }}

    union all

    select
        publisher,
        'USA' as country_code,
        'United States' as published_country,
        'coal_price_at_mine' as code,
        as_of_year,
        price_usd_per_short_ton,
        file_id,
        file_name,
        row_number,
        known_at,
        known_at_rule
    from {{ ref('bronze_eia_api_coal_prices') }}
    where region_code = 'US'
        and coal_rank_code = 'TOT'

    union all

    select
        trade.publisher,
        coalesce(trade.reporter_iso3, trade.reporter_code) as country_code,
        trade.reporter as published_country,
        case trade.flow_code when 'M' then 'coal_imports_' else 'coal_exports_' end || measures.measure as code,
        trade.as_of_year,
        measures.amount,
        trade.file_id,
        trade.file_name,
        trade.row_number,
        trade.known_at,
        trade.known_at_rule
    from {{ ref('bronze_un_comtrade_coal') }} as trade
    cross join
        lateral (
            -- a weight of nothing for coal of some value is the publisher's way to say that it does not know
            values
            ('value', trade.value_usd),
            ('weight', case when trade.net_weight_kg > 0 or trade.value_usd = 0 then trade.net_weight_kg / 1000 end)
        ) as measures (measure, amount)
    where trade.partner_code = '0'

),

-- of two rows of a file that state the same fact, the first counts
statements as (

    select distinct on (publisher, country_code, code, as_of_year, file_id) *
    from stated
    order by publisher, country_code, code, as_of_year, file_id, row_number

),

-- the file that restates another one, known from its receipt; pages of an answer are left out: what is gone from one
-- may stand on the next
restatements as (
    {% for model in ['world_bank_indicators', 'imf_outlook', 'eia_api_coal_prices', 'un_comtrade_coal'] %}
    select distinct
        restates_file_id as file_id,
        file_id as by_file_id,
        ingested_at as by_known_at
    from {{ ref('bronze_' ~ model) }}
    where restates_file_id is not null
        and file_name not like '%.page-%'
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

withdrawals as (

    select
        statements.publisher,
        statements.country_code,
        statements.published_country,
        statements.code,
        statements.as_of_year,
        restatements.by_file_id as file_id,
        restatements.by_known_at as known_at
    from statements
    inner join restatements on restatements.file_id = statements.file_id
    left join statements as again
        on again.file_id = restatements.by_file_id
        and again.publisher = statements.publisher
        and again.country_code = statements.country_code
        and again.code = statements.code
        and again.as_of_year = statements.as_of_year
    where again.file_id is null
        and statements.file_name not like '%.page-%'

),

said as (

    select
        publisher,
        country_code,
        published_country,
        code,
        as_of_year,
        value,
        file_id,
        row_number,
        known_at,
        known_at_rule
    from statements

    union all

    select
        publisher,
        country_code,
        published_country,
        code,
        as_of_year,
        null::double precision as withdrawn_value,
        file_id,
        null::integer as row_number,
        known_at,
        null::text as known_at_rule
    from withdrawals

),

compared as (

    select
        said.*,
        lag(said.value) over facts as previous_value
    from said
    window facts as (partition by publisher, country_code, code, as_of_year order by known_at, file_id)

),

spans as (

    select
        compared.*,
        lead(compared.known_at) over facts as known_until,
        lead(compared.file_id) over facts as superseded_by_file_id
    from compared
    where compared.value is distinct from compared.previous_value
    window facts as (partition by publisher, country_code, code, as_of_year order by known_at, file_id)

)

select
    spans.publisher,
    spans.country_code,
    coalesce(countries.country, aliases.country, spans.published_country, spans.country_code) as country,
    coalesce(indicators.indicator, spans.code) as indicator,
    spans.as_of_year,
    spans.value,
    coalesce(indicators.unit, case
        when spans.code = 'coal_price_at_mine' then 'U.S. dollars per short ton'
        when spans.code like 'coal_%_value' then 'U.S. dollars'
        when spans.code like 'coal_%_weight' then 'tonnes'
    end) as unit,
    spans.known_at < {{ end_of_year('spans.as_of_year') }} as is_projection,
    spans.file_id,
    spans.row_number as source_row_number,
    spans.known_at,
    spans.known_until,
    spans.known_at_rule,
    spans.superseded_by_file_id
from spans
left join indicators on indicators.code = spans.code
left join countries on countries.iso_code = spans.country_code
left join {{ ref('country_aliases') }} as aliases on aliases.published_name = spans.published_country
where spans.value is not null
    and (spans.known_until is null or spans.known_until > spans.known_at)
