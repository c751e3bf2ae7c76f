"""Word tables of the embedded corpus: each English word has one German word in each role."""

# singular, plural, German singular, gender (w: weak), German plural; "-" where a mass noun has no plural
NOUN_TABLE = {
    "person": """
        man men Mann m Männer; woman women Frau f Frauen; child children Kind n Kinder; girl girls Mädchen n Mädchen
        boy boys Junge mw Jungen; teacher teachers Lehrer m Lehrer; doctor doctors Arzt m Ärzte
        student students Student mw Studenten; baker bakers Bäcker m Bäcker; farmer farmers Bauer mw Bauern
        neighbor neighbors Nachbar mw Nachbarn; tourist tourists Tourist mw Touristen
        policeman policemen Polizist mw Polizisten; colleague colleagues Kollege mw Kollegen
        pilot pilots Pilot mw Piloten; queen queens Königin f Königinnen; king kings König m Könige
        prince princes Prinz mw Prinzen; princess princesses Prinzessin f Prinzessinnen
        nurse nurses Krankenschwester f Krankenschwestern; mother mothers Mutter f Mütter; father fathers Vater m Väter
        brother brothers Bruder m Brüder; sister sisters Schwester f Schwestern; uncle uncles Onkel m Onkel
        aunt aunts Tante f Tanten; grandmother grandmothers Großmutter f Großmütter
        grandfather grandfathers Großvater m Großväter; daughter daughters Tochter f Töchter; son sons Sohn m Söhne
        friend friends Freund m Freunde; guest guests Gast m Gäste; artist artists Künstler m Künstler
        musician musicians Musiker m Musiker; actress actresses Schauspielerin f Schauspielerinnen
        singer singers Sänger m Sänger; writer writers Schriftsteller m Schriftsteller; lawyer lawyers Anwalt m Anwälte
        judge judges Richter m Richter; soldier soldiers Soldat mw Soldaten; witch witches Hexe f Hexen
        gardener gardeners Gärtner m Gärtner; fisherman fishermen Fischer m Fischer; hunter hunters Jäger m Jäger
        chef chefs Koch m Köche; waiter waiters Kellner m Kellner; waitress waitresses Kellnerin f Kellnerinnen
        mayor mayors Bürgermeister m Bürgermeister; expert experts Experte mw Experten
        customer customers Kunde mw Kunden; journalist journalists Journalist mw Journalisten
        dancer dancers Tänzer m Tänzer; carpenter carpenters Tischler m Tischler""",
    "animal": """
        dog dogs Hund m Hunde; cat cats Katze f Katzen; horse horses Pferd n Pferde; cow cows Kuh f Kühe
        bird birds Vogel m Vögel; mouse mice Maus f Mäuse; bear bears Bär mw Bären; lion lions Löwe mw Löwen
        monkey monkeys Affe mw Affen; rabbit rabbits Kaninchen n Kaninchen; elephant elephants Elefant mw Elefanten
        pig pigs Schwein n Schweine; goat goats Ziege f Ziegen; duck ducks Ente f Enten; goose geese Gans f Gänse
        wolf wolves Wolf m Wölfe; fox foxes Fuchs m Füchse; snake snakes Schlange f Schlangen
        tiger tigers Tiger m Tiger; chicken chickens Huhn n Hühner; donkey donkeys Esel m Esel
        camel camels Kamel n Kamele; pony ponies Pony n Ponys; hedgehog hedgehogs Igel m Igel
        squirrel squirrels Eichhörnchen n Eichhörnchen; frog frogs Frosch m Frösche""",
    "food": """
        apple apples Apfel m Äpfel; pear pears Birne f Birnen; banana bananas Banane f Bananen
        orange oranges Orange f Orangen; cherry cherries Kirsche f Kirschen; potato potatoes Kartoffel f Kartoffeln
        tomato tomatoes Tomate f Tomaten; carrot carrots Karotte f Karotten; onion onions Zwiebel f Zwiebeln
        egg eggs Ei n Eier; sausage sausages Wurst f Würste; salad salads Salat m Salate
        strawberry strawberries Erdbeere f Erdbeeren; melon melons Melone f Melonen; steak steaks Steak n Steaks""",
    "pastry": """
        cake cakes Kuchen m Kuchen; cookie cookies Keks m Kekse; roll rolls Brötchen n Brötchen
        pizza pizzas Pizza f Pizzas; pretzel pretzels Brezel f Brezeln; pie pies Pastete f Pasteten""",
    "drink": """
        water - Wasser n -; milk - Milch f -; tea - Tee m -; coffee - Kaffee m -; juice - Saft m -; wine - Wein m -
        beer - Bier n -; lemonade - Limonade f -; cocoa - Kakao m -""",
    "text": """
        book books Buch n Bücher; letter letters Brief m Briefe; newspaper newspapers Zeitung f Zeitungen
        novel novels Roman m Romane; poem poems Gedicht n Gedichte; magazine magazines Zeitschrift f Zeitschriften
        article articles Artikel m Artikel; story stories Geschichte f Geschichten; report reports Bericht m Berichte
        recipe recipes Rezept n Rezepte; postcard postcards Postkarte f Postkarten""",
    "thing": """
        chair chairs Stuhl m Stühle; table tables Tisch m Tische; bag bags Tasche f Taschen
        bottle bottles Flasche f Flaschen; cup cups Tasse f Tassen; plate plates Teller m Teller
        knife knives Messer n Messer; fork forks Gabel f Gabeln; spoon spoons Löffel m Löffel
        key keys Schlüssel m Schlüssel; umbrella umbrellas Regenschirm m Regenschirme; picture pictures Bild n Bilder
        flower flowers Blume f Blumen; gift gifts Geschenk n Geschenke; ball balls Ball m Bälle
        crate crates Kiste f Kisten; basket baskets Korb m Körbe; pencil pencils Bleistift m Bleistifte
        doll dolls Puppe f Puppen; candle candles Kerze f Kerzen; mirror mirrors Spiegel m Spiegel
        pillow pillows Kissen n Kissen; ring rings Ring m Ringe; rope ropes Seil n Seile
        hammer hammers Hammer m Hämmer; vase vases Vase f Vasen; carpet carpets Teppich m Teppiche
        suitcase suitcases Koffer m Koffer; ladder ladders Leiter f Leitern""",
    "instrument": """
        guitar guitars Gitarre f Gitarren; violin violins Geige f Geigen; piano pianos Klavier n Klaviere
        flute flutes Flöte f Flöten; trumpet trumpets Trompete f Trompeten""",
    "clothing": """
        coat coats Mantel m Mäntel; hat hats Hut m Hüte; shirt shirts Hemd n Hemden; dress dresses Kleid n Kleider
        skirt skirts Rock m Röcke; jacket jackets Jacke f Jacken; sweater sweaters Pullover m Pullover
        shoe shoes Schuh m Schuhe; scarf scarves Schal m Schals; glove gloves Handschuh m Handschuhe
        sock socks Socke f Socken; boot boots Stiefel m Stiefel; cap caps Mütze f Mützen; suit suits Anzug m Anzüge
        belt belts Gürtel m Gürtel; blouse blouses Bluse f Blusen""",
    "vehicle": """
        car cars Auto n Autos; bicycle bicycles Fahrrad n Fahrräder; truck trucks Lastwagen m Lastwagen
        bus buses Bus m Busse; boat boats Boot n Boote; motorcycle motorcycles Motorrad n Motorräder
        tractor tractors Traktor m Traktoren""",
    "opening": """
        door doors Tür f Türen; window windows Fenster n Fenster; gate gates Tor n Tore
        drawer drawers Schublade f Schubladen; cupboard cupboards Schrank m Schränke""",
    "device": """
        lamp lamps Lampe f Lampen; computer computers Computer m Computer; radio radios Radio n Radios
        television televisions Fernseher m Fernseher; machine machines Maschine f Maschinen
        camera cameras Kamera f Kameras""",
    "inside": """
        park parks Park m Parks; garden gardens Garten m Gärten; house houses Haus n Häuser
        kitchen kitchens Küche f Küchen; church churches Kirche f Kirchen; city cities Stadt f Städte
        village villages Dorf n Dörfer; forest forests Wald m Wälder; hotel hotels Hotel n Hotels
        restaurant restaurants Restaurant n Restaurants; theater theaters Theater n Theater
        library libraries Bibliothek f Bibliotheken; museum museums Museum n Museen
        hospital hospitals Krankenhaus n Krankenhäuser; castle castles Schloss n Schlösser
        factory factories Fabrik f Fabriken; office offices Büro n Büros; bakery bakeries Bäckerei f Bäckereien
        supermarket supermarkets Supermarkt m Supermärkte; cellar cellars Keller m Keller; zoo zoos Zoo m Zoos""",
    "surface": """
        roof roofs Dach n Dächer; bench benches Bank f Bänke; balcony balconies Balkon m Balkone
        bridge bridges Brücke f Brücken; field fields Feld n Felder; meadow meadows Wiese f Wiesen
        island islands Insel f Inseln; hill hills Hügel m Hügel""",
    "point": """
        station stations Bahnhof m Bahnhöfe; lake lakes See m Seen; river rivers Fluss m Flüsse
        airport airports Flughafen m Flughäfen; harbor harbors Hafen m Häfen""",
    "landmark": """
        tree trees Baum m Bäume; tower towers Turm m Türme; wall walls Mauer f Mauern; statue statues Statue f Statuen
        tent tents Zelt n Zelte; fountain fountains Brunnen m Brunnen""",
}

PEOPLE_AND_ANIMALS = "person animal"
GOODS = "text thing instrument clothing vehicle device"
PLACES = "inside surface point landmark"

# kinds it fits, then slot:english=German; slots are 0 mood, 1 quality, 2 size, 3 age, 4 colour; a "/" parts the stem
# from the form that stands alone
ADJECTIVE_TABLE = {
    "person": """
        1:clever=klug 1:friendly=freundlich 1:famous=berühmt 1:rich=reich 1:poor=arm 1:brave=mutig 1:polite=höflich
        0:curious=neugierig 1:lazy=faul 0:happy=glücklich 0:sad=traurig 2:tall=groß 0:proud=stolz 3:young=jung
        3:old=alt""",
    PEOPLE_AND_ANIMALS: """
        0:tired=müd/müde 0:hungry=hungrig 0:thirsty=durstig 0:sick=krank 1:strong=stark 1:fast=schnell""",
    "animal": "1:dangerous=gefährlich 1:wild=wild 2:fat=dick 4:brown=braun",
    "food pastry drink": "1:fresh=frisch 1:sweet=süß 1:delicious=lecker 1:sour=saur/sauer",
    "drink": "1:cold=kalt 1:warm=warm",
    f"{GOODS} pastry": "1:expensive=teur/teuer 1:cheap=billig",
    "text": "1:long=lang 1:short=kurz 1:boring=langweilig 1:exciting=spannend",
    "thing vehicle device": "1:heavy=schwer 1:practical=praktisch",
    f"clothing thing instrument {PLACES} opening": "1:beautiful=schön",
    f"clothing vehicle thing opening {PLACES}": "1:ugly=hässlich",
    f"{GOODS} opening animal inside landmark": "3:old=alt",
    f"{GOODS} opening": "3:new=neu",
    "clothing vehicle thing opening": "4:red=rot 4:blue=blau 4:green=grün 4:yellow=gelb 4:black=schwarz 4:white=weiß",
    "clothing vehicle": "1:dirty=schmutzig 1:clean=sauber",
    f"animal thing instrument vehicle device opening food pastry {PLACES}": "2:small=klein 2:big=groß",
    "inside": "1:modern=modern 1:dark=dunkl/dunkel 1:quiet=ruhig 1:empty=leer",
}

# frame, subject kinds > object kinds: "english participle = infinitive 3sg participle", "_" joins English words, "|"
# follows a separable prefix, a final "s" marks the auxiliary sein
VERB_TABLE = {
    "intransitive person animal": """
        sleep slept = schlafen schläft geschlafen; play played = spielen spielt gespielt
        swim swum = schwimmen schwimmt geschwommen s; wait waited = warten wartet gewartet
        wake_up woken_up = auf|wachen wacht aufgewacht s; get_up gotten_up = auf|stehen steht aufgestanden s
        fall_asleep fallen_asleep = ein|schlafen schläft eingeschlafen s; run run = laufen läuft gelaufen s
        jump jumped = springen springt gesprungen s; disappear disappeared = verschwinden verschwindet verschwunden s
        tremble trembled = zittern zittert gezittert; snore snored = schnarchen schnarcht geschnarcht
        fight fought = kämpfen kämpft gekämpft""",
    "intransitive person": """
        work worked = arbeiten arbeitet gearbeitet; laugh laughed = lachen lacht gelacht
        cry cried = weinen weint geweint; sing sung = singen singt gesungen; dance danced = tanzen tanzt getanzt
        smoke smoked = rauchen raucht geraucht; dream dreamed = träumen träumt geträumt
        cook cooked = kochen kocht gekocht; smile smiled = lächeln lächelt gelächelt; talk talked = reden redet geredet
        sneeze sneezed = niesen niest geniest; cough coughed = husten hustet gehustet
        practice practiced = üben übt geübt; shout shouted = schreien schreit geschrien
        pray prayed = beten betet gebetet; whistle whistled = pfeifen pfeift gepfiffen
        arrive arrived = an|kommen kommt angekommen s""",
    "posture person animal": """
        sit sat = sitzen sitzt gesessen; stand stood = stehen steht gestanden; live lived = leben lebt gelebt
        stay stayed = bleiben bleibt geblieben s""",
    "motion person animal": """
        go gone = gehen geht gegangen s; come come = kommen kommt gekommen s; hurry hurried = eilen eilt geeilt s""",
    "journey person": "drive driven = fahren fährt gefahren s; hike hiked = wandern wandert gewandert s",
    f"transitive person > {GOODS} food pastry": """
        buy bought = kaufen kauft gekauft; sell sold = verkaufen verkauft verkauft; find found = finden findet gefunden
        look_for looked_for = suchen sucht gesucht""",
    "transitive person > thing text clothing": """
        forget forgotten = vergessen vergisst vergessen; lose lost = verlieren verliert verloren
        steal stolen = stehlen stiehlt gestohlen; hide hidden = verstecken versteckt versteckt
        throw_away thrown_away = weg|werfen wirft weggeworfen
        bring_along brought_along = mit|bringen bringt mitgebracht; pack packed = ein|packen packt eingepackt""",
    "transitive person > text": """
        read read = lesen liest gelesen; write written = schreiben schreibt geschrieben
        translate translated = übersetzen übersetzt übersetzt""",
    "transitive person > food pastry": """
        eat eaten = essen isst gegessen; taste tasted = probieren probiert probiert
        order ordered = bestellen bestellt bestellt; eat_up eaten_up = auf|essen isst aufgegessen""",
    "transitive person > pastry": "bake baked = backen backt gebacken",
    "transitive animal > food": """
        eat eaten = fressen frisst gefressen; eat_up eaten_up = auf|fressen frisst aufgefressen""",
    "transitive person > drink": "drink drunk = trinken trinkt getrunken",
    "transitive person > clothing": """
        wear worn = tragen trägt getragen; put_on put_on = an|ziehen zieht angezogen
        take_off taken_off = aus|ziehen zieht ausgezogen; try_on tried_on = an|probieren probiert anprobiert""",
    "transitive person > clothing vehicle": "wash washed = waschen wäscht gewaschen",
    "transitive person > vehicle device instrument": "repair repaired = reparieren repariert repariert",
    "transitive person > vehicle": "steer steered = steuern steuert gesteuert; rent rented = mieten mietet gemietet",
    "transitive person > opening": """
        open opened = auf|machen macht aufgemacht; close closed = zu|machen macht zugemacht
        paint painted = streichen streicht gestrichen""",
    "transitive person > device": """
        turn_on turned_on = ein|schalten schaltet eingeschaltet
        turn_off turned_off = aus|schalten schaltet ausgeschaltet""",
    "transitive person > instrument": "play played = spielen spielt gespielt",
    "transitive person > person": """
        meet met = treffen trifft getroffen; visit visited = besuchen besucht besucht
        invite invited = ein|laden lädt eingeladen; call called = an|rufen ruft angerufen
        pick_up picked_up = ab|holen holt abgeholt; greet greeted = begrüßen begrüßt begrüßt
        comfort comforted = trösten tröstet getröstet; kiss kissed = küssen küsst geküsst
        praise praised = loben lobt gelobt; interview interviewed = befragen befragt befragt""",
    "transitive person > person animal": """
        photograph photographed = fotografieren fotografiert fotografiert; wake woken = wecken weckt geweckt
        save saved = retten rettet gerettet; examine examined = untersuchen untersucht untersucht
        draw drawn = zeichnen zeichnet gezeichnet""",
    "transitive person animal > person animal": """
        see seen = sehen sieht gesehen; hear heard = hören hört gehört; look_at looked_at = an|sehen sieht angesehen
        watch watched = beobachten beobachtet beobachtet""",
    "transitive person > animal": """
        feed fed = füttern füttert gefüttert; stroke stroked = streicheln streichelt gestreichelt""",
    "transitive animal > person animal": "bite bitten = beißen beißt gebissen",
    "transitive person animal > animal": "chase chased = jagen jagt gejagt; catch caught = fangen fängt gefangen",
    "state person > person animal": """
        love loved = lieben liebt geliebt; hate hated = hassen hasst gehasst
        fear feared = fürchten fürchtet gefürchtet; admire admired = bewundern bewundert bewundert""",
    f"state person > {GOODS}": "need needed = brauchen braucht gebraucht; own owned = besitzen besitzt besessen",
    "dative person > person": """
        thank thanked = danken dankt gedankt; answer answered = antworten antwortet geantwortet
        listen_to listened_to = zu|hören hört zugehört
        congratulate congratulated = gratulieren gratuliert gratuliert""",
    "dative person > person animal": "help helped = helfen hilft geholfen",
    "dative person animal > person animal": "follow followed = folgen folgt gefolgt s",
    "ditransitive person > thing text clothing instrument": """
        give given = geben gibt gegeben; show shown = zeigen zeigt gezeigt; lend lent = leihen leiht geliehen
        bring brought = bringen bringt gebracht; send sent = schicken schickt geschickt""",
    "ditransitive person > pastry food": "offer offered = an|bieten bietet angeboten",
    "speech person": """
        say said = sagen sagt gesagt; know known = wissen weiß gewusst; believe believed = glauben glaubt geglaubt
        hope hoped = hoffen hofft gehofft; claim claimed = behaupten behauptet behauptet
        notice noticed = bemerken bemerkt bemerkt; suspect suspected = vermuten vermutet vermutet
        think thought = denken denkt gedacht; explain explained = erklären erklärt erklärt""",
}

# english = german : tenses it goes with, which are now (present), done (perfect), next (future) and duty (modal verb)
TIME_TABLE = """
    today = heute : now done next duty; this week = diese Woche : now done next duty; now = jetzt : now duty
    at the moment = im Moment : now; every day = jeden Tag : now duty; every week = jede Woche : now duty
    sometimes = manchmal : now; in the evening = am Abend : now next duty; in the morning = am Morgen : now next duty
    at night = in der Nacht : now next duty; on Monday = am Montag : now next duty
    on Friday = am Freitag : now next duty; on Sunday = am Sonntag : now next duty
    in summer = im Sommer : now next duty; in winter = im Winter : now next duty; twice = zweimal : done
    recently = kürzlich : done; this morning = heute Morgen : done; several times = mehrmals : done
    tomorrow = morgen : next duty; soon = bald : next duty; later = später : next duty
    next week = nächste Woche : next duty; next year = nächstes Jahr : next duty"""
