"""Words and modifiers of the agreement task; outside `NOUNS` no word is a noun or shows the subject's number."""

# singular, plural
NOUNS = {
    "THING": """
        glass glasses; key keys; book books; letter letters; cup cups; plate plates; knife knives; spoon spoons
        lamp lamps; chair chairs; table tables; picture pictures; vase vases; box boxes; bottle bottles
        basket baskets; bag bags; hat hats; coat coats; shoe shoes; glove gloves; scarf scarves; ring rings
        watch watches; clock clocks; mirror mirrors; candle candles; blanket blankets; pillow pillows
        guitar guitars; violin violins; bicycle bicycles; car cars; boat boats; toy toys; doll dolls; shelf shelves
        brush brushes; ladder ladders; camera cameras""",
    "PERSON": """
        teacher teachers; student students; doctor doctors; nurse nurses; farmer farmers; baker bakers; singer singers
        writer writers; painter painters; lawyer lawyers; child children; man men; woman women; girl girls; boy boys
        neighbor neighbors; guest guests; tourist tourists; pilot pilots; friend friends""",
    "PLACE": """
        store stores; museum museums; house houses; church churches; library libraries; school schools; hotel hotels
        garden gardens; park parks; market markets; village villages; city cities; station stations; harbor harbors
        castle castles; bakery bakeries; factory factories; theater theaters; office offices; hospital hospitals""",
}

# past tense and infinitive, by the kind of object; the past tense is the same in both numbers
VERBS = {
    "THING": """
        bought buy; sold sell; lost lose; found find; cleaned clean; repaired repair; borrowed borrow; hid hide
        remembered remember; saw see""",
    "PERSON": """
        met meet; called call; thanked thank; helped help; invited invite; trusted trust; followed follow
        greeted greet; remembered remember; saw see""",
    "PLACE": """
        visited visit; painted paint; photographed photograph; explored explore; described describe; missed miss
        avoided avoid; admired admire; remembered remember; saw see""",
}

CHOICES = {
    "PRONOUN": "I you he she we they",
    "OTHER": "you he she they",  # not the speaker: "that you told me ..."
    "ADVERB": "finally secretly often never gladly quickly nearly always",
}

BESIDE_NOUN = """
    near the ANY; behind the ANY; beside the ANY; opposite the ANY; of the PERSON; for the PERSON; next to the ANY
    close to the ANY; across from the ANY; right behind the ANY; in front of the ANY; not far from the ANY"""

BESIDE_VERB = """
    from the PLACE; outside the PLACE; near the ANY; behind the PLACE; with the PERSON; without the PERSON
    for the PERSON; together with the PERSON; because of the PERSON; next to the ANY; in front of the PLACE
    not far from the PLACE"""

WHERE = """
    downtown; upstairs; downstairs; outside; inside; nearby; abroad; here; there; indoors; over there; right here
    out there; up there; down here; far away"""

WHEN = """
    yesterday; recently; again; before; earlier; twice; long ago; just now; only recently; once again; not long ago
    again and again; so very long ago; every now and then"""

RELATIVE = """
    that PRONOUN VERB; that PRONOUN ADVERB VERB; that PRONOUN wanted to INFINITIVE; that PRONOUN said PRONOUN VERB
    that PRONOUN had hoped to INFINITIVE; that PRONOUN did not want to INFINITIVE; that OTHER told me that PRONOUN VERB
    that OTHER promised me PRONOUN would never INFINITIVE; that OTHER asked me to INFINITIVE
    that the PERSON VERB; that the PERSON VERB; that the PERSON ADVERB VERB; that the PERSON wanted to INFINITIVE
    that PRONOUN told the PERSON about; that PRONOUN thought the PERSON VERB
    that the PERSON near the PLACE VERB; that the PERSON from the PLACE wanted to INFINITIVE"""

# (state before, state after): weight of all together, and the modifiers; those of `next verb` follow an "and"
MODIFIERS = {
    ("noun", "noun"): (2, BESIDE_NOUN),
    ("noun", "noun and place"): (0.3, WHERE),
    ("noun", "verb"): (3, RELATIVE),
    ("noun and place", "verb"): (3, RELATIVE),
    ("verb", "verb"): (2, BESIDE_VERB),
    ("verb", "verb and place"): (0.5, WHERE),
    ("verb", "verb and time"): (1, WHEN),
    ("verb and place", "verb and time"): (1, WHEN),
    ("verb", "next verb"): (2, RELATIVE),
    ("verb and place", "next verb"): (2, RELATIVE),
    ("verb and time", "next verb"): (2, RELATIVE),
}
