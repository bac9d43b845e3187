"""What the requests of the default corpus are about: a few places of work, and the words that go with each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Domain:
    """Names are tags of handles; in English an underscore is a space. `things` are plural, `fields` are measured."""

    places: tuple[str, ...]
    things: tuple[str, ...]
    fields: tuple[str, ...]
    states: tuple[str, ...]
    rules: tuple[str, ...]
    jobs: tuple[str, ...]
    topics: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _domain(places: str, things: str, fields: str, states: str, rules: str, jobs: str, topics: str) -> Domain:
    return Domain(*map(_words, (places, things, fields, states, rules, jobs, topics)))


DOMAINS = (
    _domain(  # a library
        "reading_room front_desk map_cabinet cellar",
        "books loans members journals letters reservations",
        "pages price age fee",
        "overdue borrowed damaged signed rare",
        "lending_rules shelf_plan house_rules",
        "stocktake night_backup reminder_round label_print",
        "poetry history chess music whales painting",
    ),
    _domain(  # a bakery
        "kitchen counter flour_store oven_board",
        "loaves orders recipes invoices deliveries cakes",
        "weight price sugar baking_time",
        "fresh paid late sweet sliced",
        "hygiene_rules price_list recipe_card",
        "morning_bake oven_cleaning till_count dough_timer",
        "rye honey almonds butter plums salt",
    ),
    _domain(  # a harbour
        "quay lighthouse customs_desk dry_dock",
        "ships containers crews permits repairs voyages",
        "length depth tonnage wait",
        "moored inspected delayed empty foreign",
        "safety_code mooring_plan cargo_limits",
        "radio_check crane_test pilot_call fog_signal",
        "steel grain timber oil ice coffee",
    ),
    _domain(  # a clinic
        "waiting_room pharmacy ward_office laboratory",
        "patients samples visits bills prescriptions referrals",
        "dose age duration cost",
        "urgent closed unpaid stable missing",
        "care_plan privacy_rules dose_table",
        "ward_round supply_check lab_import shift_change",
        "fever allergy vaccine sleep diet vision",
    ),
    _domain(  # a garden
        "greenhouse tool_shed orchard seed_vault",
        "plants seeds harvests beds tools visitors",
        "height yield moisture spacing",
        "ripe planted watered dormant wild",
        "planting_calendar water_limits soil_guide",
        "watering_cycle frost_alarm compost_turn leaf_survey",
        "roses tomatoes bees mint apples moss",
    ),
    _domain(  # a railway
        "platform signal_box ticket_hall depot",
        "trains tickets delays routes wagons drivers",
        "speed distance fare load",
        "cancelled refunded full electric reserved",
        "timetable brake_rules fare_table",
        "track_survey door_test seat_count line_closure",
        "tunnels bridges snow freight tourists bicycles",
    ),
    _domain(  # an observatory
        "dome control_room star_archive roof_deck",
        "images stars nights comets exposures reports",
        "brightness distance noise period",
        "blurred confirmed faint calibrated hidden",
        "exposure_guide naming_rules quality_list",
        "mirror_alignment sky_scan dust_check clock_sync",
        "clouds planets meteors eclipses dust moons",
    ),
    _domain(  # a school
        "library hall staff_room play_field",
        "pupils essays exams courses meetings grades",
        "score length attendance age",
        "absent graded optional passed unread",
        "exam_rules course_plan marking_guide",
        "fire_drill term_report bus_roster room_swap",
        "algebra rivers grammar volcanoes drama robots",
    ),
)

QUALIFIERS = _words("spring summer autumn winter older newer local monday friday weekend yearly early")
PLACE_QUALIFIERS = _words("north south upper lower old new main second public back")
SHAPES = _words("table chart list summary calendar map poster timeline")
STATISTICS = _words("total average median highest lowest usual")
OPERATORS = _words("plus minus times over")
CHOICES = _words("largest smallest sum mean")
PERIODS = _words("jan feb mar apr may jun jul aug sep oct nov dec")
SUFFIXES = _words("csv json txt xml log")
