"""A few mines with like names, for tests of reading questions."""

from fvi_pipeline.answers.directory import Directory, Mine


def mine(mine_id, name, state="Pennsylvania (Bituminous)", county="Greene", last=2019, first=1984, **more):
    """A mine of the United States that produces unless `last` is earlier."""
    defaults = {
        "country": "United States",
        "status": "Active",
        "companies": ("Consol Pennsylvania Coal Company",),
        "is_scored": last == 2019,
    }
    return Mine(
        mine_id,
        name,
        state=state,
        county=county,
        last_production_year=last,
        first_production_year=first,
        **{**defaults, **more},
    )


MINES = [
    mine("msha:3607230", "Bailey Mine", tracker_ids=("M0988",)),
    mine("msha:0102496", "Bailey Mine", "Alabama", "Walker", 1984, 1983, companies=("M & S Coal Co Inc",)),
    mine("msha:4600001", "Oak Grove", "West Virginia (Southern)", "Boone"),
    mine("msha:0100851", "Oak Grove Mine", "Alabama", "Jefferson", companies=("Murray Metallurgical",)),
    mine("msha:1500001", "No. 1", "Kentucky (East)", "Knox", 2005),
    mine("msha:1500002", "#1", "Kentucky (East)", "Pike"),
    mine("msha:1500003", "Mine No 1", "Kentucky (West)", "Hopkins"),
    mine(
        "msha:4801353",
        "North Antelope Rochelle Mine",
        "Wyoming",
        "Campbell",
        companies=("Peabody Powder River Mining Ll",),
    ),
    mine("msha:3200595", "Freedom Mine", "North Dakota", "Mercer"),
    mine("msha:4700001", "Marion County Mine", "West Virginia (Northern)", "Marion"),
    mine(
        "gem:M0087",
        "Peak Downs Coal Mine",
        "Queensland",
        None,
        None,
        None,
        country="Australia",
        status="Operating",
        is_scored=False,
    ),
    mine("msha:4700002", "Federal No 2", "West Virginia (Northern)", "Monongalia", former_names=("Blacksville Mine",)),
    mine("msha:2401747", "Rosebud Mine & Crusher/Conveyo", "Montana", "Rosebud"),
    mine("msha:3608410", "Rosebud No. 2", last=2000),
    mine("msha:4608436", "Upper Big Branch Mine-South", "West Virginia (Southern)", "Raleigh", 2010),
    mine("msha:1518247", "Big Branch", "Kentucky (East)", "Harlan"),
    mine("msha:4607623", "Raven Mine", "West Virginia (Northern)", "Marion"),
    mine("msha:3608733", "Ridge", last=2001),
]


def directory():
    """The directory of these mines."""
    return Directory({one.mine_id: one for one in MINES})
