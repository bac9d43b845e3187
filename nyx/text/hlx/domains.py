"""Places of work that the requests of the default corpus are about, each with its words and procedures."""

from __future__ import annotations

from nyx.text.hlx.words import Domain, split


def _domain(places: str, things: str, fields: str, states: str, rules: str, jobs: str, topics: str,
            workflows: str) -> Domain:  # fmt: skip
    return Domain(split(places), split(things), split(fields), split(states), split(rules), split(jobs), split(topics),
                  tuple(line.strip() for line in workflows.strip().splitlines()))  # fmt: skip


DOMAINS = (
    _domain(  # a library
        "reading_room front_desk map_cabinet cellar periodical_hall return_slot study_corner binding_room",
        "books loans members journals letters reservations atlases manuscripts donations reminders catalogue_cards",
        "pages price age fee shelf_width borrowers",
        "overdue borrowed damaged signed rare lost catalogued renewed",
        "lending_rules shelf_plan house_rules copyright_list spelling_guide",
        "stocktake night_backup reminder_round label_print shelf_reading card_renewal index_rebuild book_sale",
        "poetry history chess music whales painting bridges letters fables maps opera travel",
        """
        overdue_chase: read FILE | filter THING overdue | aggregate total fee THING | execute reminder_round
        shelf_audit: navigate cellar | validate THING shelf_plan | filter THING lost | write TARGET THING
        new_arrivals: read FILE | transform THING sorted price | transform THING list | execute label_print
        """,
    ),
    _domain(  # a bakery
        "kitchen counter flour_store oven_board cold_room delivery_door tasting_table sack_lift",
        "loaves orders recipes invoices deliveries cakes rolls pastries price_tags tarts suppliers",
        "weight price sugar baking_time salt crust",
        "fresh paid late sweet sliced frozen burnt packed",
        "hygiene_rules price_list recipe_card allergy_notice weighing_rules",
        "morning_bake oven_cleaning till_count dough_timer flour_order crumb_sweep yeast_check window_display",
        "rye honey almonds butter plums salt cinnamon oats poppy lemon barley walnuts",
        """
        opening_round: execute morning_bake | validate THING hygiene_rules | filter THING fresh | execute window_display
        till_closing: read FILE | aggregate total price THING | write TARGET THING | execute till_count
        recipe_review: search THING 'sugar' | validate THING recipe_card | transform THING sorted sugar
        """,
    ),
    _domain(  # a harbour
        "quay lighthouse customs_desk dry_dock pilot_house fuel_pier net_loft crane_yard",
        "ships containers crews permits repairs voyages ferries anchors buoys manifests tugboats",
        "length depth tonnage wait draught crew_size",
        "moored inspected delayed empty foreign loaded sealed insured",
        "safety_code mooring_plan cargo_limits pilot_rules fishing_quota",
        "radio_check crane_test pilot_call fog_signal hull_survey tide_warning fuel_round berth_swap",
        "steel grain timber oil ice coffee salt wool herring tin copper tea",
        """
        arrival_check: search THING 'grain' | validate THING cargo_limits | filter THING inspected | write TARGET THING
        fog_drill: execute fog_signal | navigate lighthouse | aggregate count THING | execute radio_check
        berth_plan: read FILE | transform THING sorted draught | validate THING mooring_plan | transform THING timeline
        """,
    ),
    _domain(  # a clinic
        "waiting_room pharmacy ward_office laboratory reception x_ray_room linen_store night_desk",
        "patients samples visits bills prescriptions referrals bandages scans shifts blood_tests appointments",
        "dose age duration cost pulse temperature",
        "urgent closed unpaid stable missing discharged confirmed sterile",
        "care_plan privacy_rules dose_table visiting_hours cleaning_plan",
        "ward_round supply_check lab_import shift_change bed_count linen_run night_watch recall_letters",
        "fever allergy vaccine sleep diet vision cough asthma rash iron sugar stress",
        """
        morning_handover: read FILE | filter THING urgent | transform THING list | execute shift_change
        lab_return: execute lab_import | validate THING dose_table | search THING 'iron' | write TARGET THING
        billing_run: filter THING unpaid | aggregate total cost THING | write TARGET THING | execute recall_letters
        """,
    ),
    _domain(  # a garden
        "greenhouse tool_shed orchard seed_vault herb_spiral compost_yard pond rose_walk",
        "plants seeds harvests beds tools visitors shrubs bulbs seedlings vines cuttings",
        "height yield moisture spacing sunlight bloom_time",
        "ripe planted watered dormant wild pruned thirsty grafted",
        "planting_calendar water_limits soil_guide pruning_guide visitor_rules",
        "watering_cycle frost_alarm compost_turn leaf_survey seed_swap bee_count hedge_trim path_sweep",
        "roses tomatoes bees mint apples moss beetles tulips clover worms figs pears",
        """
        frost_watch: execute frost_alarm | filter THING planted | aggregate lowest height THING | execute leaf_survey
        harvest_day: filter THING ripe | aggregate total yield THING | write TARGET THING | transform THING chart
        seed_sorting: read FILE | validate THING planting_calendar | transform THING sorted spacing | write TARGET THING
        """,
    ),
    _domain(  # a railway
        "platform signal_box ticket_hall depot freight_yard crew_lounge lost_property switch_tower",
        "trains tickets delays routes wagons drivers signals timetables sleepers locomotives passengers",
        "speed distance fare load delay_minutes seats",
        "cancelled refunded full electric reserved stopped diverted overnight",
        "timetable brake_rules fare_table signal_code luggage_rules",
        "track_survey door_test seat_count line_closure whistle_test snow_plough crew_change ticket_audit",
        "tunnels bridges snow freight tourists bicycles storms leaves cattle dining coal sleet",
        """
        delay_review: read FILE | filter THING cancelled | aggregate average delay_minutes THING | transform THING chart
        night_closure: execute line_closure | navigate signal_box | validate THING signal_code | execute track_survey
        refund_desk: search THING 'storms' | filter THING refunded | aggregate total fare THING | write TARGET THING
        """,
    ),
    _domain(  # an observatory
        "dome control_room star_archive roof_deck mirror_lab spectrum_desk visitor_stair cable_trench",
        "images stars nights comets exposures reports nebulae galaxies lenses flares measurements",
        "brightness distance noise period redshift altitude",
        "blurred confirmed faint calibrated hidden variable stacked saturated",
        "exposure_guide naming_rules quality_list safety_lamp_rules archive_format",
        "mirror_alignment sky_scan dust_check clock_sync lens_cooling dome_turn flat_field star_count",
        "clouds planets meteors eclipses dust moons aurora rings pulsars haze satellites spots",
        """
        first_light: execute mirror_alignment | execute clock_sync | validate THING exposure_guide | write TARGET THING
        noise_hunt: read FILE | filter THING faint | aggregate median noise THING | transform THING graph
        comet_alert: search THING 'meteors' | filter THING confirmed | transform THING sorted brightness | navigate dome
        """,
    ),
    _domain(  # a school
        "library hall staff_room play_field canteen music_room art_studio science_lab",
        "pupils essays exams courses meetings grades lessons projects timetables clubs workbooks",
        "score length attendance age mistakes homework_time",
        "absent graded optional passed unread excused late printed",
        "exam_rules course_plan marking_guide dress_code lunch_plan",
        "fire_drill term_report bus_roster room_swap bell_test choir_practice parents_evening chalk_order",
        "algebra rivers grammar volcanoes drama robots poems atoms castles fractions insects flags",
        """
        marking_week: read FILE | validate THING marking_guide | aggregate average score THING | execute term_report
        absence_check: filter THING absent | aggregate count THING | write TARGET THING | navigate staff_room
        term_start: transform THING sorted age | transform THING list | write TARGET THING | execute room_swap
        """,
    ),
    _domain(  # a theatre
        "stage box_office wardrobe prop_store green_room balcony lighting_booth orchestra_pit",
        "plays scripts costumes rehearsals seats programmes posters masks curtains cues understudies",
        "runtime price applause act_length volume rows",
        "sold_out rehearsed torn rented staged translated cut prompted",
        "stage_directions fire_code casting_rules ticket_terms noise_limits",
        "sound_check dress_rehearsal curtain_test cue_run ticket_sale prop_count spotlight_test encore",
        "kings ghosts storms swords clowns letters twins forests thrones moonlight exile masks",
        """
        premiere_night: execute sound_check | validate THING stage_directions | filter THING rehearsed
        house_report: read FILE | aggregate total price THING | transform THING summary | write TARGET THING
        costume_call: navigate wardrobe | filter THING torn | aggregate count THING | write TARGET THING
        """,
    ),
    _domain(  # a post office
        "sorting_hall parcel_counter stamp_vault mail_van loading_ramp post_box customs_shelf money_desk",
        "parcels letters stamps postcards receipts addresses packages returns mailbags couriers notices",
        "weight postage distance value width days_in_transit",
        "registered unstamped forwarded misrouted insured delivered refused fragile",
        "postage_table address_format customs_form size_limits route_plan",
        "stamp_count mail_sort van_check route_update scale_test franking night_delivery bag_seal",
        "glass wine seeds coins books batteries honey lamps clocks medals cheese toys",
        """
        lost_mail_trace: search THING 'coins' | filter THING misrouted | write TARGET THING | execute route_update
        counter_closing: read FILE | aggregate total postage THING | validate THING postage_table | execute stamp_count
        heavy_goods: transform THING sorted weight | validate THING size_limits | execute van_check
        """,
    ),
    _domain(  # a farm
        "barn milking_parlour hay_loft grain_silo chicken_run south_meadow sheep_fold machine_shed",
        "cows eggs tractors fields fences calves lambs bales crops beehives ploughs",
        "milk_yield weight acreage feed rainfall fuel",
        "grazing milked muddy fenced harvested organic pregnant shorn",
        "feed_plan grazing_rules vet_schedule crop_rotation milk_standard",
        "milking fence_walk hay_cutting egg_collection sheep_count tractor_service irrigation weather_check",
        "clover barley foxes drought wool cheese thistles mud turnips rain crows straw",
        """
        dawn_round: execute milking | aggregate total milk_yield THING | write TARGET THING
        pasture_move: filter THING grazing | navigate south_meadow | execute fence_walk | aggregate count THING
        crop_ledger: read FILE | transform THING sorted acreage | aggregate total rainfall THING | transform THING chart
        """,
    ),
    _domain(  # a workshop
        "bench tool_wall paint_booth saw_room drill_stand scrap_bin drawing_board glue_table",
        "drawings screws chairs clocks planks motors hinges blades radios repairs gears",
        "width torque hours price thickness voltage",
        "broken repaired painted loose sharpened measured bent stained",
        "safety_sheet size_table wiring_rules finish_guide warranty_terms",
        "saw_cleaning glue_order drill_test varnish_coat tool_count dust_extraction blade_swap battery_charge",
        "oak brass varnish springs rust solder leather copper pine enamel felt cork",
        """
        repair_intake: read FILE | filter THING broken | validate THING warranty_terms | write TARGET THING
        bench_closing: execute saw_cleaning | filter THING broken | navigate tool_wall | execute tool_count
        parts_quote: search THING 'brass' | aggregate total price THING | transform THING table | write TARGET THING
        """,
    ),
    _domain(  # a newsroom
        "news_desk photo_lab print_hall archive interview_room editors_table weather_corner studio_two",
        "articles headlines photos interviews columns corrections sources adverts cartoons puzzles broadcasts",
        "word_count readers clicks age column_width deadline_hours",
        "published drafted retracted exclusive anonymous edited syndicated checked",
        "style_guide fact_list advert_rules photo_credits naming_policy",
        "press_run fact_check layout_pass proof_reading morning_call archive_scan subtitle_pass front_page_vote",
        "elections storms strikes football trials harvests floods museums budgets whales trains concerts",
        """
        evening_edition: read FILE | filter THING edited | validate THING style_guide | execute press_run
        correction_round: search THING 'budgets' | filter THING retracted | write TARGET THING | execute proof_reading
        reader_report: aggregate average readers THING | transform THING sorted clicks | write TARGET THING
        """,
    ),
    _domain(  # a hotel
        "lobby breakfast_room roof_terrace laundry spa wine_cellar key_desk garden_suite",
        "guests rooms bookings towels complaints keys breakfasts menus suitcases minibars reviews",
        "nights rate floor_area rating deposit beds",
        "occupied cleaned vacant upgraded noisy prepaid cancelled vip",
        "house_policy fire_plan pool_rules menu_card discount_terms",
        "room_cleaning night_audit wake_up_call linen_change key_reset pool_test shuttle_run menu_print",
        "breakfast noise parking towels wifi pillows heating balcony pets coffee views lifts",
        """
        checkout_hour: read FILE | filter THING occupied | aggregate total deposit THING | execute room_cleaning
        complaint_desk: search THING 'noise' | aggregate lowest rating THING | write TARGET THING | navigate lobby
        night_closing: validate THING house_policy | aggregate count THING | execute night_audit
        """,
    ),
    _domain(  # a museum
        "sculpture_court coin_room restoration_lab mummy_hall gift_shop cloakroom fossil_wing picture_store",
        "paintings fossils coins vases statues tours sketches exhibits guides frames swords",
        "height age insurance_value humidity visitors entry_fee",
        "restored borrowed cracked authentic forged displayed gilded undated",
        "loan_contract light_limits handling_rules label_style opening_hours",
        "dust_round alarm_test humidity_check guided_tour crate_packing floor_polish ticket_count audio_guide",
        "bronze amber dinosaurs silk marble knights shells glass ivory maps masks pottery",
        """
        loan_return: read FILE | filter THING borrowed | validate THING loan_contract | execute crate_packing
        climate_round: execute humidity_check | aggregate highest humidity THING | write TARGET THING
        forgery_review: search THING 'ivory' | filter THING forged | transform THING list | navigate restoration_lab
        """,
    ),
    _domain(  # a weather station
        "mast rain_garden balloon_shed radar_tower forecast_desk snow_field ice_house battery_room",
        "readings forecasts warnings balloons sensors storms gusts charts bulletins thermometers radar_frames",
        "wind_speed rainfall pressure temperature humidity cloud_cover",
        "severe issued expired calm frozen suspicious averaged outdated",
        "warning_levels sensor_manual rounding_rules station_code forecast_policy",
        "balloon_launch sensor_reset radar_sweep hourly_report rain_gauge_check snow_reading siren_test battery_swap",
        "hail thunder drizzle sunrise fog heat blizzards monsoon dew gales rainbows smog",
        """
        storm_watch: execute radar_sweep | filter THING severe | aggregate highest wind_speed THING | execute siren_test
        sensor_doubts: read FILE | filter THING suspicious | validate THING sensor_manual | execute sensor_reset
        daily_bulletin: aggregate average temperature THING | write TARGET THING | execute hourly_report
        """,
    ),
)  # fmt: skip
