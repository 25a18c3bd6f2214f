{#
    Energy and emissions come in two files with their own times of knowing. Each time one of them changes what is known
    about a country and year, a version begins; it carries what the other one said then. Of two names of one country in
    a file (Czechia, Czech Republic) the row with the country's code holds.
#}
with

energy as (

    select
        coalesce(aliases.country, bronze.country) as country,
        bronze.as_of_year,
        bronze.iso_code,
        bronze.coal_share_of_electricity_percent,
        bronze.coal_production_twh,
        bronze.coal_consumption_twh,
        bronze.electricity_generation_twh,
        bronze.coal_electricity_twh,
        bronze.gas_electricity_twh,
        bronze.coal_share_of_energy_percent,
        bronze.file_id,
        bronze.known_at,
        lead(bronze.known_at) over (
            partition by coalesce(aliases.country, bronze.country), bronze.as_of_year
            order by bronze.known_at, bronze.file_id, bronze.iso_code is not null, bronze.row_number
        ) as known_until
    from {{ ref('bronze_owid_energy') }} as bronze
    left join {{ ref('country_aliases') }} as aliases on aliases.published_name = bronze.country

),

emissions as (

    select
        coalesce(aliases.country, bronze.country) as country,
        bronze.as_of_year,
        bronze.iso_code,
        bronze.co2_million_tonnes,
        bronze.coal_co2_million_tonnes,
        bronze.population,
        bronze.gdp_usd,
        bronze.file_id,
        bronze.known_at,
        lead(bronze.known_at) over (
            partition by coalesce(aliases.country, bronze.country), bronze.as_of_year
            order by bronze.known_at, bronze.file_id, bronze.iso_code is not null, bronze.row_number
        ) as known_until
    from {{ ref('bronze_owid_co2') }} as bronze
    left join {{ ref('country_aliases') }} as aliases on aliases.published_name = bronze.country

),

moments as (

    select
        country,
        as_of_year,
        known_at
    from energy
    union
    select
        country,
        as_of_year,
        known_at
    from emissions

)

select
    moments.country,
    moments.as_of_year,
    coalesce(energy.iso_code, emissions.iso_code) as iso_code,
    energy.coal_share_of_electricity_percent,
    energy.coal_production_twh,
    energy.coal_consumption_twh,
    energy.electricity_generation_twh,
    energy.coal_electricity_twh,
    energy.gas_electricity_twh,
    energy.coal_share_of_energy_percent,
    emissions.co2_million_tonnes,
    emissions.coal_co2_million_tonnes,
    emissions.population,
    emissions.gdp_usd,
    energy.file_id as energy_file_id,
    emissions.file_id as emissions_file_id,
    moments.known_at,
    lead(moments.known_at) over (
        partition by moments.country, moments.as_of_year order by moments.known_at
    ) as known_until
from moments
left join energy
    on energy.country = moments.country
    and energy.as_of_year = moments.as_of_year
    and energy.known_at <= moments.known_at
    and (energy.known_until is null or energy.known_until > moments.known_at)
left join emissions
    on emissions.country = moments.country
    and emissions.as_of_year = moments.as_of_year
    and emissions.known_at <= moments.known_at
    and (emissions.known_until is null or emissions.known_until > moments.known_at)
