"""Words that decide what a name in a text is: of a mine, a seam, a place or a company. Matching belongs in `links`."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What any mine may be called: no part of its name at the name's ends.
FORMS = _words(
    """mine mines coal colliery collieries complex project projects surface underground ug strip pit pits opencast open
    cast cut auger slope deep job prep preparation plant refuse recovery operation operations development expansion
    extension the no number co company inc llc highwall hwm contour drift shaft tipple loadout mining coalfield
    lignite"""
)
# A name needs a word beyond these.
GENERIC = FORMS | _words(
    """power area block north south east west central new old big little main upper lower stage phase plate figure table
    unit one two three four five six"""
)
MINE_WORDS = _words("mine mines colliery collieries")
BEFORE_MINE = _words("coal surface underground strip deep open opencast pit cut lignite longwall")
# What a place, a seam or a company is called that bears the name of a mine.
OTHER_THINGS = _words(
    """seam seams creek county river formation basin township station university city road lake district fork hollow
    branch port group formations bed beds sandstone resources energy corporation corp inc ltd company school street
    avenue church town village park dam valley"""
)
HONORIFICS = _words("mr mrs ms dr miss sir judge senator governor inspector")
DIRECTIONS = _words("North South East West NORTH SOUTH EAST WEST")
# What may stand capitalised before a name, at the start of a sentence, without being part of it.
BEFORE_A_NAME = _words(
    """the at in of from and or near for to by with on a an this that its their our both former mine mines company
    operator owner is was between while as when if then also his her after before since until estimated approximate"""
)
# Seams of Appalachia and Illinois whose names many mines bear: only "Eagle Mine" tells a mine.
SEAMS = _words(
    """alma beckley campbell coalburg dorothy eagle elkhorn freeport gilbert hazard hernshaw herrin jawbone kittanning
    lewiston peerless pittsburgh pocahontas powellton sewell sewickley springfield stockton waynesburg winifrede"""
)
COMPANY_FORMS = _words(
    """inc llc co corp corporation company ltd limited plc lp llp group holdings holding mining coal resources energy
    the and of pty sa ag gmbh ooo jsc pjsc pt tbk"""
)
STATE_CODES = {
    "AL": "alabama", "AK": "alaska", "AZ": "arizona", "AR": "arkansas", "CO": "colorado", "IL": "illinois",
    "IN": "indiana", "KY": "kentucky", "LA": "louisiana", "MD": "maryland", "MS": "mississippi", "MO": "missouri",
    "MT": "montana", "NM": "new mexico", "ND": "north dakota", "OH": "ohio", "OK": "oklahoma", "PA": "pennsylvania",
    "TN": "tennessee", "TX": "texas", "UT": "utah", "VA": "virginia", "WV": "west virginia", "WY": "wyoming",
}  # fmt: skip
