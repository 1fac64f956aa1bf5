"""A hundred schedules, as people write them and should not, to compare with Prefect's dates."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

from devtools.data.tables import Row

CRONS: dict[str, list[str]] = {
    "UTC": [
        *("0 9 * * *", "0 9 * * mon-fri", "30 6 * * 1-5", "*/15 * * * *", "5,35 * * * *", "0 */6 * * *", "0 0 1 * *"),
        *("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "0 7 * * 7", "0 7 * * 0"),
        # Ranges that go round, with and without a step.
        *("0 22-2 * * *", "0 22-2/2 * * *", "0 21-5/3 * * *", "0 20-4/5 * * *", "50-10 3 * * *", "50-10/7 3 * * *"),
        *("0 8 * * fri-mon", "0 8 * * sat-sun", "0 8 * * 5-7", "0 8 * * 6-1", "0 8 * nov-feb *", "0 8 * 10-4/2 *"),
        *("0 8 25-5 * *", "0 8 28-3/2 * *", "0 8 * * thu-tue/2"),
        # All of a field, said in other ways: with the other field of days, cron takes it for a
        # choice.
        *("0 9 1-31 * 1", "0 9 */1 * mon", "0 9 */2 * mon", "0 9 * * 0-7", "0 9 13 * 0-6", "0 9 13 * */1"),
        *("0 9 1-31 * */2", "0 9 ? * 2", "0 9 15 * ?", "0 9 *,5 * 2", "0 9 1,2,*/1 * 3", "0 9 13 * fri"),
        # From a value to itself is the whole round, and so is the last with a step.
        *(
            "0 5-5 * * *",
            "0 9 * * 7-7",
            "0 9 * * sun-sun",
            "59/5 4 * * *",
            "0 23/4 * * *",
            "0 9 * * 6/2",
            "7/13 4 * * *",
        ),
        *("0 9 * * 1,3,5", "0 9 10-20/3 * *", "0 9 1 1,4,7,10 *", "0 12 */2 * *", "5/25 6 * jan-oct sun,3"),
    ],
    "Europe/Berlin": [
        *("30 2 * * *", "0 2 * * *", "0 3 * * *", "15,45 1-3 * * *", "0 * * * *", "*/20 1-5,22 * * 1-5", "0 0 * * *"),
        "30 22-3 * * sat-sun",
    ],
    "America/New_York": ["15 0 13 * fri", "30 1 * * *", "*/30 * * * *", "0 17 * * mon-fri", "30 2 * * sun"],
    "Australia/Lord_Howe": ["15,45 1 * * *", "*/10 1-3 * * *", "@weekly"],
    "Asia/Kolkata": ["0 12 */2 * *", "45 23 * * *"],
    "America/St_Johns": ["1 0-3 * * *"],
}
# Both days must match.
CRONS_OF_BOTH_DAYS = ["0 9 1-7 * mon", "0 9 */2 * tue", "0 9 13 * */1"]
RRULES: dict[str, list[str]] = {
    "Europe/Berlin": [
        "DTSTART:20200101T053000\nRRULE:FREQ=DAILY",
        "DTSTART:20200101T000000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=4,16",
        "DTSTART:20200115T103000\nRRULE:FREQ=MONTHLY",
        "FREQ=HOURLY;BYMINUTE=10,40",
        "FREQ=WEEKLY;BYDAY=SU;BYHOUR=4",
        # In the hour that comes twice, or not at all.
        "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
        "FREQ=HOURLY",
        # The zone of the start counts for nothing, that of the schedule does.
        "DTSTART;TZID=America/New_York:20200101T053000\nRRULE:FREQ=DAILY",
        "DTSTART:20200101T053000Z\nRRULE:FREQ=DAILY",
        "DTSTART;VALUE=DATE-TIME:20200101T081500 RRULE:FREQ=DAILY",
    ],
    "UTC": [
        "DTSTART:20200106T070000\nFREQ=WEEKLY",
        "DTSTART:20200108T070012\nRRULE:FREQ=WEEKLY;INTERVAL=1",
        "DTSTART:20200101\nRRULE:FREQ=DAILY;BYHOUR=6",
        "DTSTART:20200315T120000\nRRULE:FREQ=YEARLY;BYDAY=MO",
        "DTSTART:20200315T120000\nRRULE:FREQ=YEARLY;BYMONTH=4,10",
        "DTSTART:20200405T120000\nRRULE:FREQ=YEARLY",
        "DTSTART:20201020T120000\nRRULE:FREQ=YEARLY",
        "DTSTART:20200315T120000\nRRULE:FREQ=YEARLY;BYMONTHDAY=5,20",
        "RRULE:FREQ=MONTHLY;BYDAY=MO,TU;BYMONTHDAY=1,2,3,4,5,6,7,20;BYHOUR=9",
        "RRULE:FREQ=WEEKLY;BYWEEKDAY=FR;BYHOUR=3",
        "rrule:freq=daily;byhour=5;byminute=0,20",
        # It begins within the time that is looked at, or after it.
        "DTSTART:{within}\nRRULE:FREQ=DAILY",
        "DTSTART:{within}\nRRULE:FREQ=HOURLY",
        "DTSTART:{after}\nRRULE:FREQ=DAILY",
    ],
}
INTERVALS: list[tuple[float, str]] = [
    *((5_400, "UTC"), (86_400, "UTC"), (7.5 * 86_400, "UTC"), (90.5, "UTC"), (3_600.25, "UTC"), (1_234.567, "UTC")),
    *((600, "Europe/Berlin"), (3_600, "Europe/Berlin"), (43_200, "America/New_York"), (86_399, "Europe/Berlin")),
    *((2 * 86_400, "Asia/Kolkata"), (90_000, "UTC")),
]
ANCHOR = datetime(2026, 3, 1, 9, 17, 3, tzinfo=UTC)

# What SQL does not follow, and why.
UNKNOWN: dict[str, str] = {
    "0 9 L * *": "a cron expression with L, # or the like",
    "0 9 * * 1#2": "a cron expression with L, # or the like",
    "0 9 * * L5": "a cron expression with L, # or the like",
    "0 9 * * * 30": "a cron expression without five fields",
    "FREQ=MONTHLY;BYDAY=1MO": "an rrule that counts days from the end, or within the month",
    "FREQ=MONTHLY;BYDAY=-1FR": "an rrule that counts days from the end, or within the month",
    "FREQ=MONTHLY;BYMONTHDAY=-1": "an rrule that counts days from the end, or within the month",
    "FREQ=MINUTELY": "an rrule of a frequency beyond hours",
    "FREQ=DAILY;INTERVAL=2": "an rrule with an interval",
    "FREQ=DAILY;COUNT=5000": "an rrule with an end, a position or exceptions",
    "FREQ=DAILY;UNTIL=20300101T000000": "an rrule with an end, a position or exceptions",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1": "an rrule with an end, a position or exceptions",
    "FREQ=YEARLY;BYWEEKNO=20": "an rrule with an end, a position or exceptions",
    "FREQ=YEARLY;BYYEARDAY=100": "an rrule with an end, a position or exceptions",
    "RRULE:FREQ=DAILY\nEXDATE:20261020T000000": "an rrule with an end, a position or exceptions",
    "RRULE:FREQ=DAILY\nRDATE:20261020T060000": "an rrule with an end, a position or exceptions",
    "RRULE:FREQ=DAILY\nRRULE:FREQ=HOURLY": "several rrules in one",
    "RRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY": "several rrules in one",
    "DTSTART:2020-01-01T05:30:00\nRRULE:FREQ=DAILY": "an rrule with another form of DTSTART",
}
UNKNOWN_INTERVALS: dict[tuple[float, str], str] = {
    (86_400, "Europe/Berlin"): "an interval of days while the clocks were changed",
    (129_600, "America/New_York"): "an interval of days while the clocks were changed",
    (5, "UTC"): "an interval with more than 100000 slots in the period",
}


class Schedule(NamedTuple):
    """A schedule of Prefect, and its columns in the stream `deployment_schedules`."""

    row: Row
    of_prefect: Any

    def dates(self, start: datetime, end: datetime) -> list[datetime]:
        """Prefect's own dates between two times, in UTC. It gives a thousand at most."""
        found: set[datetime] = set()
        begin = start
        while True:
            some = [date.astimezone(UTC) for date in self.of_prefect._get_dates_generator(start=begin, end=end)]
            # Its dates are of a class of its own.
            found |= {datetime.fromisoformat(date.isoformat()).replace(tzinfo=None) for date in some}
            if len(some) < 900:
                return sorted(found)
            begin = some[-1] + timedelta(seconds=1)


def known(within: datetime, after: datetime) -> Iterator[tuple[str, Schedule]]:
    """The schedules that SQL follows, by a name; some begin `within` the period, or `after` it."""
    for zone, crons in CRONS.items():
        for cron in crons:
            yield f"{cron} {zone}", _cron(cron, zone)
    for cron in CRONS_OF_BOTH_DAYS:
        yield f"{cron} of both days", _cron(cron, "UTC", day_or=False)
    for zone, rules in RRULES.items():
        for rule in rules:
            times = {"within": f"{within:%Y%m%dT%H%M%S}", "after": f"{after:%Y%m%dT%H%M%S}"}
            yield f"{rule} {zone}", _rrule(rule.format(**times), zone)
    for seconds, zone in INTERVALS:
        yield f"{seconds} {zone}", _interval(seconds, zone)


def unknown() -> Iterator[tuple[str, Schedule, str]]:
    """The schedules that it does not follow, and why."""
    for text, why in UNKNOWN.items():
        yield text, _rrule(text, "UTC") if "FREQ" in text else _cron(text, "UTC"), why
    for (seconds, zone), why in UNKNOWN_INTERVALS.items():
        yield f"{seconds} {zone}", _interval(seconds, zone), why
    nowhere = {"schedule_cron": "0 9 * * *", "schedule_timezone": "Europe/Atlantis"}
    yield "nowhere", Schedule(nowhere, None), "a time zone that the database does not know"


def _cron(cron: str, zone: str, *, day_or: bool = True) -> Schedule:
    row = {"schedule_cron": cron, "schedule_timezone": zone, "schedule_day_or": day_or}
    return Schedule(row, CronSchedule(cron=cron, timezone=zone, day_or=day_or))


def _rrule(rule: str, zone: str) -> Schedule:
    schedule = RRuleSchedule(rrule=rule, timezone=zone)
    return Schedule({"schedule_rrule": schedule.rrule, "schedule_timezone": zone}, schedule)


def _interval(seconds: float, zone: str) -> Schedule:
    row = {"schedule_interval": seconds, "schedule_anchor_date": ANCHOR.replace(tzinfo=None), "schedule_timezone": zone}
    of_prefect = {"interval": seconds, "anchor_date": ANCHOR, "timezone": zone}
    return Schedule(row, IntervalSchedule.model_validate(of_prefect))
