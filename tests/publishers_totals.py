"""What the publishers' real files must add up to. Figures only; the tests that compare stand with their part."""

# million short tons of all rows of a year, refuse recovery included, as the publisher states them
YEARLY_TOTALS = {
    1984: 890.644,
    1990: 1029.076,
    2001: 1127.689,
    2008: 1171.809,
    2010: 1084.368,
    2014: 1000.049,
    2015: 896.941,
    2016: 728.364,
    2017: 774.609,
    2018: 756.167,
    2019: 706.309,
}
