"""Words and phrases of English that a wake word should not be taken for.

What is said around a device: rooms, food, weather, music, numbers, and the small words
of any talk; every phoneme of English is in several of them.
"""

LINES = """
yes / no / maybe / please / thank you / hello / goodbye / good morning / good night
excuse me / never mind / of course / not really / all right / right now / see you later
what time is it / where are you / how are you / I think so / I don't know / come here
let me see / wait a minute / hold on / that is enough / just a moment / are you ready
one / two / three / four / five / six / seven / eight / nine / ten / eleven / twelve
thirteen / twenty / thirty / fifty / a hundred / a thousand / first / second / half past
Monday / Tuesday / Wednesday / Thursday / Friday / Saturday / Sunday / today / tomorrow
yesterday / morning / evening / January / April / August / October / summer / winter
kitchen / bedroom / bathroom / garage / hallway / garden / balcony / cellar / ceiling
window / curtain / door / floor / table / chair / sofa / pillow / blanket / mirror
lamp / candle / battery / cable / button / switch / radiator / fridge / freezer / oven
washing machine / dishwasher / vacuum cleaner / kettle / toaster / saucepan / bucket
bread / butter / cheese / milk / coffee / sugar / honey / pepper / garlic / onion
potato / tomato / carrot / cabbage / mushroom / apple / orange / banana / cherry / lemon
chicken / salmon / sausage / noodles / pancakes / chocolate / biscuit / yoghurt / juice
breakfast / lunch is ready / dinner / a glass of water / a cup of tea / two eggs
mother / father / brother / sister / uncle / daughter / husband / neighbour / children
doctor / teacher / farmer / driver / soldier / engineer / nurse / judge / policeman
weather / thunder / lightning / sunshine / shower / cloudy / freezing / windy / fog
mountain / river / island / valley / forest / beach / ocean / desert / meadow / bridge
dog / puppy / kitten / horse / sheep / chicken coop / sparrow / eagle / spider / whale
car / bicycle / tractor / aeroplane / railway station / traffic / petrol / journey
music / guitar / piano / violin / trumpet / drums / chorus / melody / jazz / orchestra
turn it down / louder / next song / stop the music / play something else / volume
telephone / computer / keyboard / television / camera / message / password / network
history / science / language / chemistry / mathematics / question / answer / example
red / yellow / green / blue / purple / silver / brown / white / black / colourful
happy / angry / tired / hungry / thirsty / nervous / jealous / brave / gentle / curious
quick / slow / heavy / light / narrow / wide / rough / smooth / early / late / empty
above / below / between / through / without / around / against / towards / behind
always / never / sometimes / usually / perhaps / together / another / nobody
everything / walk / run / swim / climb / carry / throw / push / pull / choose / forget
measure / treasure / pleasure / usual / vision / garage door / village / bridges / edge
thirst / breathe / bathe / clothes / smooth surface / both / nothing / whether / leather
voice / noise / choice / enjoy / boiling / around the house / power / flower / ours
year / beer / fair / care / poor / cure / tour / fire / tyre / higher / lower / player
hey / hey you / hey there / okay / okay then / hi / oh dear / oh well / listen / look
say it again / what did you say / can you hear me / it is raining / open the window
close the door / the shop is closed / my phone is dead / where is my jacket / be careful
the train leaves at nine / put it on the table / we need more paper / that was funny
she sells old books / he lives upstairs / they went home / who is at the door
"""


def lines():
    """The lines as a tuple of 351 different ones."""
    found = (line.strip() for row in LINES.split("\n") for line in row.split("/"))
    return tuple(line for line in found if line)
