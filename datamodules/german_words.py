"""German words known to `contrast`: verbs in both numbers, and function words."""

from typing import Literal


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Excluded: verbs with a form that can be a participle, "Zwei Frauen fotografiert von hinten".
VERBS = """
angelt angeln, arbeitet arbeiten, badet baden, balgt balgen, baut bauen, befindet befinden, beißt beißen, bellt bellen,
betet beten, beugt beugen, bindet binden, bleibt bleiben, blickt blicken, bläst blasen, bohrt bohren, boxt boxen, bringt
bringen, brät braten, bückt bücken, bügelt bügeln, dreht drehen, drückt drücken, duscht duschen, döst dösen, fegt fegen,
feiert feiern, filmt filmen, findet finden, fischt fischen, fliegt fliegen, folgt folgen, frisst fressen, fährt fahren,
fällt fallen, fängt fangen, führt führen, füllt füllen, füttert füttern, geht gehen, genießt genießen, gestikuliert
gestikulieren, gibt geben, gießt gießen, gleitet gleiten, grast grasen, greift greifen, grillt grillen, grinst grinsen,
gräbt graben, grüßt grüßen, guckt gucken, hackt hacken, hat haben, hebt heben, hilft helfen, hockt hocken, holt holen,
hält halten, hängt hängen, hört hören, hüpft hüpfen, isst essen, ist sind, jagt jagen, joggt joggen, jubelt jubeln, kann
können, kauert kauern, kauft kaufen, kaut kauen, kickt kicken, klatscht klatschen, klettert klettern, kniet knien, kocht
kochen, kommt kommen, krabbelt krabbeln, kämpft kämpfen, küsst küssen, lacht lachen, landet landen, leckt lecken, legt
legen, lehnt lehnen, lernt lernen, liegt liegen, liest lesen, lächelt lächeln, lässt lassen, läuft laufen, macht machen,
malt malen, marschiert marschieren, mischt mischen, nimmt nehmen, näht nähen, packt packen, paddelt paddeln, parkt
parken, passt passen, planscht planschen, posiert posieren, putzt putzen, rast rasen, raucht rauchen, redet reden,
reicht reichen, reinigt reinigen, reitet reiten, rennt rennen, ringt ringen, rollt rollen, rudert rudern, ruht ruhen,
rutscht rutschen, schaukelt schaukeln, schaut schauen, scheint scheinen, schiebt schieben, schießt schießen, schlendert
schlendern, schläft schlafen, schlägt schlagen, schneidet schneiden, schnitzt schnitzen, schreibt schreiben, schreit
schreien, schwebt schweben, schwimmt schwimmen, schwingt schwingen, schüttelt schütteln, segelt segeln, sieht sehen,
singt singen, sitzt sitzen, spaziert spazieren, spielt spielen, spricht sprechen, springt springen, spritzt spritzen,
spült spülen, starrt starren, steckt stecken, steht stehen, steigt steigen, stellt stellen, streckt strecken, streichelt
streicheln, streicht streichen, stößt stoßen, sucht suchen, surft surfen, tanzt tanzen, taucht tauchen, teilt teilen,
telefoniert telefonieren, tollt tollen, trifft treffen, trinkt trinken, tritt treten, trägt tragen, tut tun, wandert
wandern, wartet warten, watet waten, weint weinen, wendet wenden, will wollen, winkt winken, wird werden, wirft werfen,
wischt wischen, wäscht waschen, zeichnet zeichnen, zeigt zeigen, zieht ziehen, zielt zielen, öffnet öffnen, übt üben
"""
PLURAL_OF = {singular: plural for singular, plural in (pair.split() for pair in VERBS.split(","))}
SINGULAR_OF = {plural: singular for singular, plural in PLURAL_OF.items()}

COPULAS = words("ist sind wird werden bleibt bleiben")

PLURAL_DETERMINERS = words(
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf 2 3 4 5 6 7 8 9 10 mehrere viele einige zahlreiche "
    "verschiedene beide"
)
# Number of a noun by the first word of its sentence; None if only the verb shows it.
NUMBER: dict[str, Literal["singular", "plural"] | None] = {
    **dict.fromkeys(words("ein eine der das dieser dieses jeder jede jedes"), "singular"),
    **dict.fromkeys((*PLURAL_DETERMINERS, "ein paar"), "plural"),
    **dict.fromkeys(("die", "diese"), None),
}
PRONOUNS = {  # relative pronouns for a noun after these words; otherwise "die"
    "ein": words("der das"),
    **dict.fromkeys(words("der dieser jeder"), words("der")),
    **dict.fromkeys(words("das dieses jedes"), words("das")),
}
# Never a nominative: accusatives, datives and genitives; "der" too, if there is a subject already.
NEVER_SUBJECT = words(
    "einen einem einer eines den dem des der sich seinen seinem seiner seines ihren ihrem ihrer ihres keinen keinem "
    "diesen diesem jeden jedem beiden"
)
DETERMINERS = (
    PLURAL_DETERMINERS
    | (NEVER_SUBJECT - {"sich"})
    | words("ein eine die das diese dieser dieses jede jeder jedes sein seine ihr ihre kein keine alle andere")
)
PREPOSITIONS = words(
    "ab am an ans anstatt auf aufs aus außerhalb bei beim bis durch durchs für fürs gegen gegenüber hinter hinterm im "
    "in inmitten innerhalb ins mit nach nahe neben oberhalb ohne per seit statt trotz über überm um unter unterhalb "
    "unterm von vom vor vorm wegen zu zum zur zwischen"
)
CONJUNCTIONS = words(
    "als bevor da damit dass denn entlang es indem ist jedoch man mitten nachdem nicht ob obwohl oder sich sie so "
    "sobald sodass sondern sowie und während weil wenn wie wo wobei"
)
ADVERBS = words(
    "allein alleine außen dort draußen drinnen gemeinsam gerade hier hinten innen jetzt links mitten oben rechts unten "
    "vorn vorne zusammen"
)
RELATIVE = words("der die das dem den denen deren dessen welche welcher welches wo")

PLURAL_NOUNS = words("Arbeiterinnen Frauen Hunde Kinder Leute Menschen Männer Personen Polizisten Touristen")
# "Eine Gruppe von Männern stehen", "Ein Paar sitzen": accepted by many speakers.
COLLECTIVE = tuple(
    words(
        "ansammlung anzahl dutzend gruppe handvoll hand haufen hälfte herde menge mehrheit meute paar pärchen publikum "
        "reihe rest rudel schar schlange schwarm stapel teil trio duo trupp team vielzahl"
    )
)
# Endings of masculine nouns: "Ein Mann" is a subject, "Ein Kind" can be an object.
MASCULINE = tuple(
    words(
        "affe angler arbeiter athlet bauer bär boxer bruder bus clown elefant fahrer fan fischer gitarrist hase "
        "herr hund junge kerl kletterer koch kämpfer künstler laster läufer lehrer mann mensch musiker polizist "
        "priester reiter schüler skater snowboarder skateboarder sohn soldat spieler sportler springer student "
        "surfer sänger taucher teenager tourist turner typ tänzer vater verkäufer vogel wagen wanderer welpe zug"
    )
)
# Singular nouns without a determiner.
UNCOUNTED = words(
    "Basketball Baseball Bier Blockflöte Bowling Eis Fahrrad Fußball Geige Gemüse Gitarre Golf Gras Hockey Holz "
    "Keyboard Klavier Musik Obst Rugby Saxofon Schlagzeug Schlittschuh Schnee Ski Skateboard Tennis "
    "Trompete Violine Volleyball Wasser"
)
