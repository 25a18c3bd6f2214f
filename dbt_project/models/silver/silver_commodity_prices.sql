select
    month,
    coal_australian_usd_per_tonne,
    coal_south_african_usd_per_tonne,
    natural_gas_us_usd_per_mmbtu,
    natural_gas_europe_usd_per_mmbtu,
    crude_oil_average_usd_per_barrel,
    file_id,
    row_number as source_row_number,
    known_at,
    lead(known_at) over (partition by month order by known_at, file_id) as known_until
from {{ ref('bronze_world_bank_prices') }}
