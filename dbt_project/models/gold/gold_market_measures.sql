{{ config(indexes=[{'columns': ['country', 'as_of_year', 'created_timestamp'], 'unique': true}]) }}
{#
    Prices and energy for every country with a mine, at every vintage, and at the moment at which the index is current.
    Prices: the last twelve months known then, none older than three years, and the mean of sixty, where all sixty are known
    and none is older than six years. Energy: the newest year known then, up to the as-of year and no more than
    five years older.
#}
{%- set stale_years = 5 %}
{%- set fuels = ['coal', 'gas'] %}
with

tracker_release as (

    select max(tracker_known_at) as known_at
    from {{ ref('silver_mine_profiles') }}

),

moments as (

    select
        as_of_year,
        created_timestamp
    from {{ ref('gold_vintages') }}

    union

    -- a mine of the panel, seen with what the tracker adds
    select
        vintages.as_of_year,
        greatest(vintages.created_timestamp, tracker_release.known_at) as created_timestamp
    from {{ ref('gold_vintages') }} as vintages
    cross join tracker_release
    where vintages.is_latest

    union

    -- a mine that only the tracker has
    select
        extract(year from tracker_release.known_at at time zone 'UTC')::int - 1 as as_of_year,
        tracker_release.known_at as created_timestamp
    from tracker_release
    where tracker_release.known_at is not null

),

known_months as (

    select
        times.created_timestamp,
        prices.coal_australian_usd_per_tonne as coal_price,
        prices.natural_gas_us_usd_per_mmbtu as gas_price,
        prices.known_at,
        row_number() over (partition by times.created_timestamp order by prices.month desc) as months_ago,
        -- two years before the newest known month, with room for publishing delays
        prices.month > times.created_timestamp - interval '3 years' as is_recent
    from (select distinct created_timestamp from moments) as times
    inner join {{ ref('silver_commodity_prices') }} as prices
        on prices.known_at <= times.created_timestamp
        and (prices.known_until is null or prices.known_until > times.created_timestamp)
        and prices.month > times.created_timestamp - interval '6 years'

),

prices as (

    select
        created_timestamp,
        {% for fuel in fuels -%}
        avg({{ fuel }}_price order by months_ago) filter (where is_recent and months_ago <= 12) as {{ fuel }}_price,
        {{ relative_change(
            'avg(' ~ fuel ~ '_price order by months_ago) filter (where is_recent and months_ago <= 12)',
            'avg(' ~ fuel ~ '_price order by months_ago) filter (where is_recent and months_ago between 13 and 24)'
        ) }} as {{ fuel }}_price_change_1y,
        case
            when count({{ fuel }}_price) filter (where months_ago <= 60) = 60
                then
                    avg({{ fuel }}_price order by months_ago) filter (where months_ago <= 12)
                    / nullif(avg({{ fuel }}_price order by months_ago) filter (where months_ago <= 60), 0)
        end as {{ fuel }}_price_to_mean_5y,
        {% endfor -%}
        max(known_at) filter (where is_recent and months_ago <= 24) as two_years_known_at,
        max(known_at) filter (where months_ago <= 60) as five_years_known_at
    from known_months
    group by created_timestamp

),

countries as (

    select distinct country
    from {{ ref('silver_mine_profiles') }}
    where country is not null

),

known_energy as (

    select
        countries.country,
        moments.as_of_year,
        moments.created_timestamp,
        energy.as_of_year as energy_year,
        energy.coal_share_of_electricity_percent,
        energy.coal_share_of_energy_percent,
        energy.known_at,
        max(energy.as_of_year) filter (where energy.coal_share_of_electricity_percent is not null) over (
            partition by countries.country, moments.as_of_year, moments.created_timestamp
        ) as newest_electricity_year,
        max(energy.as_of_year) filter (where energy.coal_share_of_energy_percent is not null) over (
            partition by countries.country, moments.as_of_year, moments.created_timestamp
        ) as newest_energy_year
    from moments
    cross join countries
    inner join {{ ref('silver_country_energy') }} as energy
        on energy.country = countries.country
        and energy.as_of_year between moments.as_of_year - {{ stale_years + 5 }} and moments.as_of_year
        and energy.known_at <= moments.created_timestamp
        and (energy.known_until is null or energy.known_until > moments.created_timestamp)

),

energy as (

    select
        country,
        as_of_year,
        created_timestamp,
        {% for years in [0, 1, 5] -%}
        max(coal_share_of_electricity_percent) filter (where energy_year = newest_electricity_year - {{ years }})
            as electricity_share_{{ years }}y_ago,
        {% endfor -%}
        max(coal_share_of_energy_percent) filter (where energy_year = newest_energy_year)
            as coal_share_of_energy_percent,
        max(known_at) filter (where newest_electricity_year - energy_year in (0, 1, 5)) as electricity_known_at,
        max(known_at) filter (where energy_year = newest_energy_year) as energy_known_at,
        as_of_year - max(newest_electricity_year) <= {{ stale_years }} as is_electricity_fresh,
        as_of_year - max(newest_energy_year) <= {{ stale_years }} as is_energy_fresh
    from known_energy
    group by country, as_of_year, created_timestamp

)

select
    countries.country,
    moments.as_of_year,
    moments.created_timestamp,
    prices.coal_price as coal_price_usd_per_tonne,
    prices.coal_price_change_1y,
    prices.coal_price_to_mean_5y,
    prices.gas_price as gas_price_usd_per_mmbtu,
    prices.gas_price_change_1y,
    prices.gas_price_to_mean_5y,
    prices.coal_price / nullif(prices.gas_price, 0) as coal_to_gas_price_ratio,
    case when energy.is_electricity_fresh then energy.electricity_share_0y_ago end
        as coal_share_of_electricity_percent,
    case when energy.is_electricity_fresh then energy.electricity_share_0y_ago - energy.electricity_share_1y_ago end
        as coal_share_of_electricity_change_1y,
    case when energy.is_electricity_fresh then energy.electricity_share_0y_ago - energy.electricity_share_5y_ago end
        as coal_share_of_electricity_change_5y,
    case when energy.is_energy_fresh then energy.coal_share_of_energy_percent end as coal_share_of_energy_percent,
    case
        when coalesce(prices.coal_price_to_mean_5y, prices.gas_price_to_mean_5y) is not null
            then prices.five_years_known_at
        else prices.two_years_known_at
    end as prices_known_at,
    greatest(
        case when energy.is_electricity_fresh then energy.electricity_known_at end,
        case when energy.is_energy_fresh then energy.energy_known_at end
    ) as energy_known_at
from moments
cross join countries
left join prices on prices.created_timestamp = moments.created_timestamp
left join energy
    on energy.country = countries.country
    and energy.as_of_year = moments.as_of_year
    and energy.created_timestamp = moments.created_timestamp
