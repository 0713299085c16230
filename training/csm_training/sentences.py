"""Deterministic generator of short everyday English sentences.

Everything is spelled out in words (no digits), so one white-space token is one spoken word group.
Three sources are mixed:
  * a template grammar over hand-written word lists (greetings, assistant phrases, questions, statements,
    numbers and times in words),
  * short clauses of the King James Bible (public domain; Debian package bible-kjv-text), optional,
  * "word salad" of common words (Debian package scowl, size 10 and 20), which teaches spelling-to-sound.
"""
import random
import re

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NAMES = "Anna Ben Carl Daisy David Emma Frank George Grace Harry Helen Jack James Jane John Julia Kate Laura Linda Lucy Mark Mary Mike Nick Olivia Paul Peter Rachel Robert Rose Sam Sarah Simon Susan Thomas Tom Victor William".split()
PLACES = "London Paris Berlin Rome Boston Chicago Canada France Spain Italy Germany India China Japan Africa America England Texas".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
COLORS = "red blue green yellow white black brown orange purple gray pink golden".split()
ADJ = ("good bad big small old new young long short high low hot cold warm cool dark light fast slow easy hard early late "
       "happy sad nice kind strong weak rich poor clean dirty quiet loud heavy simple strange beautiful important different "
       "possible special little great better best real true false free full empty open wide deep fresh dry wet sweet bright soft "
       "safe dangerous busy ready wrong right interesting difficult wonderful terrible perfect lovely friendly clever famous "
       "modern local public private single double second third final main whole large tiny huge narrow round flat sharp smooth rough "
       "tired hungry angry lazy calm brave funny serious common useful careful").split()
NOUN = ("house home room door window table chair bed kitchen garden street road city town village country river lake sea ocean mountain "
        "hill forest tree flower grass field farm bridge station train bus car bicycle boat ship plane airport hotel shop market "
        "school class teacher student doctor nurse driver farmer friend neighbor brother sister mother father son daughter child baby "
        "family man woman boy girl king queen people person dog cat horse cow bird fish mouse lion bear wolf fox rabbit chicken duck "
        "apple banana orange bread butter cheese milk water coffee tea sugar salt soup rice meat egg cake dinner lunch breakfast "
        "book page letter word story paper pen picture song music movie game ball toy phone computer screen camera radio clock watch "
        "key box bag bottle cup glass plate knife fork spoon shirt coat hat shoe dress pocket money bank price job office company "
        "work meeting plan idea question answer problem reason example number list line name place point part side end start "
        "day night morning evening afternoon week month year hour minute summer winter spring autumn weather rain snow wind sun moon "
        "star sky cloud storm fire light heat ice stone sand wood metal gold silver wall floor roof stairs corner hand head eye ear "
        "face hair nose mouth arm leg foot heart voice body dream life love world earth war peace power law rule history science "
        "machine engine wheel tool light button message email file program system model test result report ticket party birthday "
        "present holiday trip journey visit language lesson exam library museum hospital church island beach garage basket blanket mirror "
        "candle ladder hammer needle feather circle square shadow sound noise smell taste color shape size weight speed distance").split()
VERB = [  # base, third person, past, -ing
    ("see", "sees", "saw", "seeing"), ("find", "finds", "found", "finding"), ("want", "wants", "wanted", "wanting"),
    ("need", "needs", "needed", "needing"), ("like", "likes", "liked", "liking"), ("love", "loves", "loved", "loving"),
    ("make", "makes", "made", "making"), ("take", "takes", "took", "taking"), ("bring", "brings", "brought", "bringing"),
    ("buy", "buys", "bought", "buying"), ("sell", "sells", "sold", "selling"), ("open", "opens", "opened", "opening"),
    ("close", "closes", "closed", "closing"), ("clean", "cleans", "cleaned", "cleaning"), ("paint", "paints", "painted", "painting"),
    ("break", "breaks", "broke", "breaking"), ("fix", "fixes", "fixed", "fixing"), ("build", "builds", "built", "building"),
    ("carry", "carries", "carried", "carrying"), ("hold", "holds", "held", "holding"), ("watch", "watches", "watched", "watching"),
    ("hear", "hears", "heard", "hearing"), ("follow", "follows", "followed", "following"), ("help", "helps", "helped", "helping"),
    ("visit", "visits", "visited", "visiting"), ("remember", "remembers", "remembered", "remembering"),
    ("forget", "forgets", "forgot", "forgetting"), ("change", "changes", "changed", "changing"), ("show", "shows", "showed", "showing"),
    ("keep", "keeps", "kept", "keeping"), ("lose", "loses", "lost", "losing"), ("use", "uses", "used", "using"),
    ("choose", "chooses", "chose", "choosing"), ("draw", "draws", "drew", "drawing"), ("check", "checks", "checked", "checking"),
    ("move", "moves", "moved", "moving"), ("push", "pushes", "pushed", "pushing"), ("pull", "pulls", "pulled", "pulling"),
    ("cut", "cuts", "cut", "cutting"), ("wash", "washes", "washed", "washing"), ("count", "counts", "counted", "counting"),
    ("catch", "catches", "caught", "catching"), ("throw", "throws", "threw", "throwing"), ("cover", "covers", "covered", "covering"),
    ("study", "studies", "studied", "studying"), ("miss", "misses", "missed", "missing"), ("touch", "touches", "touched", "touching"),
    ("send", "sends", "sent", "sending"), ("read", "reads", "read", "reading"), ("write", "writes", "wrote", "writing"),
]
IVERB = [
    ("go", "goes", "went", "going"), ("come", "comes", "came", "coming"), ("run", "runs", "ran", "running"),
    ("walk", "walks", "walked", "walking"), ("sleep", "sleeps", "slept", "sleeping"), ("work", "works", "worked", "working"),
    ("sit", "sits", "sat", "sitting"), ("stand", "stands", "stood", "standing"), ("wait", "waits", "waited", "waiting"),
    ("talk", "talks", "talked", "talking"), ("sing", "sings", "sang", "singing"), ("play", "plays", "played", "playing"),
    ("swim", "swims", "swam", "swimming"), ("laugh", "laughs", "laughed", "laughing"), ("cry", "cries", "cried", "crying"),
    ("dance", "dances", "danced", "dancing"), ("travel", "travels", "traveled", "traveling"), ("stay", "stays", "stayed", "staying"),
    ("live", "lives", "lived", "living"), ("fall", "falls", "fell", "falling"), ("jump", "jumps", "jumped", "jumping"),
    ("listen", "listens", "listened", "listening"), ("leave", "leaves", "left", "leaving"), ("start", "starts", "started", "starting"),
    ("stop", "stops", "stopped", "stopping"), ("think", "thinks", "thought", "thinking"), ("eat", "eats", "ate", "eating"),
    ("drive", "drives", "drove", "driving"), ("fly", "flies", "flew", "flying"), ("smile", "smiles", "smiled", "smiling"),
]
ADV = "now today tomorrow yesterday again soon later always never often sometimes usually quickly slowly carefully quietly together alone here there outside inside everywhere early late twice once already almost really".split()
PREP = "in on under near behind beside above below across inside outside around through over by from to with without before after between against along".split()
DET = ["the", "a", "my", "your", "his", "her", "our", "their", "this", "that", "the", "the", "every", "another", "some", "no"]
PRON = [("I", 0), ("you", 0), ("we", 0), ("they", 0), ("he", 1), ("she", 1), ("it", 1)]
OBJ = "me you him her it us them".split()
WH = "what where when why how who".split()

FIXED = """Hello.|Hi there.|Hello, how are you?|Good morning.|Good evening.|Good night.|Good afternoon.|Nice to meet you.|How can I help you?|How can I help you today?
Thank you.|Thank you very much.|Thanks a lot.|You're welcome.|Please wait a moment.|One moment, please.|I'm sorry.|I'm sorry, I don't understand.|Could you say that again?|Please repeat that.
Yes.|No.|Yes, please.|No, thank you.|Of course.|Sure, no problem.|All right.|Okay.|Okay, let's go.|Let me check that for you.|Let me think about that.|I don't know.|I'm not sure.|That's a good question.|That sounds great.|That's right.|That's wrong.
What time is it?|What is your name?|My name is Sesame.|Where are you from?|How old are you?|What are you doing?|Where are you going?|What do you want?|What does it mean?|How much is it?|How does it work?|Who are you?|Who is there?|What's up?|How are you doing today?
I'm fine, thank you.|I'm very well.|See you later.|See you tomorrow.|Goodbye.|Bye for now.|Take care.|Have a nice day.|Have a good weekend.|Welcome back.|Welcome home.|Come in.|Sit down, please.|Be careful.|Don't worry.|Never mind.|Good luck.|Well done.|Congratulations.|Happy birthday.
This is a test.|This is a test of the speech system.|The quick brown fox jumps over the lazy dog.|Can you hear me?|Please speak slowly.|I can hear you very well.|The line is busy.|Press any key to continue.|Your call is important to us.|You have one new message.|You have no new messages.
Turn left.|Turn right.|Go straight ahead.|Turn left at the next corner.|The door is open.|The door is closed.|The battery is low.|The alarm is on.|Turn on the light.|Turn off the light.|Set a timer for five minutes.|Play some music.|Stop the music.|What's the weather like today?
It is raining.|It's sunny today.|It will be cold tomorrow.|It's getting late.|I have to go now.|I love you.|I miss you.|I agree with you.|I think so too.|I don't think so.|It doesn't matter.|It's up to you.|Let's get started.|Let's see what happens.|Here we go.|Here you are.|Once upon a time.|The end.|And so on.
Speech synthesis is fun.|I am a small model.|I can speak English.|I was trained from scratch.|My voice is made by a computer.|Welcome to the conversational speech model.|This voice runs on your own computer.|Everything is working.|Something went wrong.|Please try again.|Please try again later.|The file was not found.|Are you ready?|I am ready.|Ready when you are.|Done.|Wait.|Stop.|Help.|Listen.|Look.|Maybe.|Perhaps.|Exactly.|Really?|Why not?|What?|Why?|How?|When?|Where?|Who?""".replace("\n", "|").split("|")


def number(r, n=None):
    if n is None:
        n = r.choice([r.randrange(20), r.randrange(100), r.randrange(100), r.randrange(1000), r.randrange(10000)])
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + ("" if n % 10 == 0 else " " + ONES[n % 10])
    if n < 1000:
        return ONES[n // 100] + " hundred" + ("" if n % 100 == 0 else " and " + number(r, n % 100))
    return number(r, n // 1000) + " thousand" + ("" if n % 1000 == 0 else " " + number(r, n % 1000))


def article(words):
    """a -> an before a vowel letter."""
    out = words.split()
    for i in range(len(out) - 1):
        if out[i].lower() == "a" and out[i + 1][0].lower() in "aeio":
            out[i] += "n"
    return " ".join(out)


class Sentences:
    def __init__(self, seed, scowl=None, bible=None):
        self.r = random.Random(seed)
        self.common, self.less = [], []
        if scowl:
            for name, dst in (("english-words.10", self.common), ("english-words.20", self.less)):
                words = open(f"{scowl}/{name}", encoding="latin-1").read().split()
                dst += sorted(w for w in words if re.fullmatch(r"[a-z]{2,12}", w))
        self.verses = []
        if bible:
            for line in open(bible, encoding="latin-1"):
                for clause in re.split(r"[,;:.?!()]", line.split(" ", 1)[-1]):  # "Ge1:1 In the ..."
                    words = clause.split()
                    if 3 <= len(words) <= 9 and re.fullmatch(r"[A-Za-z ]+", " ".join(words)):
                        self.verses.append(" ".join(words))

    def np(self, simple=False):
        r = self.r
        noun = r.choice(NOUN) if r.random() < 0.8 or not self.common else r.choice(self.common)
        det = r.choice(DET)
        k = r.random()
        if k < 0.08 and not simple:
            return r.choice(NAMES)
        if k < 0.45:
            return f"{det} {noun}"
        if k < 0.8 or simple:
            return f"{det} {r.choice(ADJ)} {noun}"
        if k < 0.86:
            return f"{number(r, r.randrange(2, 100))} {noun}s"
        if k < 0.92:
            return f"{det} {r.choice(COLORS)} {noun}"
        return f"{det} {noun} {r.choice(PREP)} {r.choice(DET)} {r.choice(NOUN)}"

    def pp(self):
        r = self.r
        k = r.random()
        if k < 0.1:
            return f"in {r.choice(PLACES)}"
        if k < 0.2:
            return f"on {r.choice(DAYS)}"
        if k < 0.25:
            return f"in {r.choice(MONTHS)}"
        if k < 0.33:
            return f"at {self.clock()}"
        return f"{r.choice(PREP)} {self.np(True)}"

    def clock(self):
        r = self.r
        h = ONES[r.randrange(1, 13)]
        return r.choice([f"{h} o'clock", f"half past {h}", f"a quarter to {h}", f"a quarter past {h}",
                         f"{h} {r.choice(['fifteen', 'twenty', 'thirty', 'forty five', 'ten', 'fifty'])}",
                         f"{number(r, r.randrange(2, 30))} past {h}", f"{h} in the {r.choice(['morning', 'evening', 'afternoon'])}"])

    def subj(self):
        r = self.r
        if r.random() < 0.6:
            return r.choice(PRON)
        return (self.np(), 1)

    def clause(self):
        r = self.r
        s, third = self.subj()
        v = r.choice(VERB if r.random() < 0.65 else IVERB)
        obj = ""
        if v in VERB:
            obj = " " + (self.np() if r.random() < 0.8 else r.choice(OBJ))
        k = r.random()
        be = "am" if s == "I" else ("is" if third else "are")
        if k < 0.2:
            c = f"{s} {v[1] if third else v[0]}{obj}"
        elif k < 0.45:
            c = f"{s} {v[2]}{obj}"
        elif k < 0.55:
            c = f"{s} will {v[0]}{obj}"
        elif k < 0.65:
            c = f"{s} {be} {v[3]}{obj}"
        elif k < 0.75:
            c = f"{s} {r.choice(['can', 'could', 'should', 'must', 'may', 'would', 'might', 'cannot'])} {v[0]}{obj}"
        elif k < 0.83:
            neg = r.choice(["didn't", "won't", "can't", "doesn't" if third else "don't", "couldn't", "shouldn't"])
            c = f"{s} {neg} {v[0]}{obj}"
        elif k < 0.93:
            was = r.choice([be, "was" if (third or s == "I") else "were"])
            c = f"{s} {was} {r.choice(['', '', 'very ', 'so ', 'too ', 'not '])}{r.choice(ADJ)}"
        else:
            short = {"I": "I'm", "you": "you're", "we": "we're", "they": "they're", "he": "he's", "she": "she's", "it": "it's"}
            c = f"{short.get(s, s + ' is')} {v[3]}{obj}"
        if r.random() < 0.3:
            c += " " + self.pp()
        elif r.random() < 0.2:
            c += " " + r.choice(ADV)
        return c

    def question(self):
        r = self.r
        v = r.choice(VERB)
        iv = r.choice(IVERB)
        k = r.randrange(10)
        p = r.choice(["you", "they", "we"])
        return [f"do {p} {v[0]} {self.np()}", f"did {r.choice(['he', 'she', 'you', 'they'])} {v[0]} {self.np()}",
                f"can {r.choice(['you', 'I', 'we'])} {v[0]} {self.np()}", f"where is {self.np(True)}", f"what is {self.np(True)}",
                f"why did {self.np()} {iv[0]}", f"how many {r.choice(NOUN)}s do you {r.choice(['have', 'see', 'need', 'want'])}",
                f"when will {self.np()} {iv[0]}", f"who {v[2]} {self.np()}",
                f"is {self.np(True)} {r.choice(['', 'very ', 'too '])}{r.choice(ADJ)}"][k]

    def sentence(self):
        """One sentence with normal casing and punctuation."""
        r = self.r
        k = r.random()
        end = "."
        if k < 0.07:
            return r.choice(FIXED)
        if k < 0.34:
            t = self.clause()
        elif k < 0.42:
            t = f"{self.clause()}{r.choice([',', ''])} {r.choice(['and', 'but', 'so', 'because', 'if', 'when', 'while'])} {self.clause()}"
        elif k < 0.52:
            t, end = self.question(), "?"
        elif k < 0.57:
            t = r.choice(["it is {c}", "the meeting is at {c}", "wake me up at {c}", "the train leaves at {c}", "it's {c}",
                          "see you at {c}", "come back at {c}"]).format(c=self.clock())
        elif k < 0.62:
            n = number(r)
            t = r.choice(["{n}", "the number is {n}", "it costs {n} dollars", "the answer is {n}", "there are {n} people",
                          "page {n}", "room number {n}", "call me at {n}", "I counted {n} of them", "{n} percent"]).format(n=n)
        elif k < 0.65:
            t = ", ".join(ONES[r.randrange(10)] for _ in range(r.randrange(2, 5)))
        elif k < 0.70:
            v = r.choice(VERB)
            t = r.choice(["please {v} {o}", "don't {v} {o}", "let's {v} {o}", "you should {v} {o}", "{v} {o} {p}", "always {v} {o}",
                          "try to {v} {o}", "I want to {v} {o}", "I would like to {v} {o}"]).format(v=v[0], o=self.np(), p=self.pp())
        elif k < 0.74:
            t = r.choice(["there is {o} {p}", "this is {o}", "here is {o}", "that was {o}", "I have {o}", "we had {o} {p}",
                          "it has {o}", "look at {o}", "thank you for {o}", "tell me about {o}"]).format(o=self.np(True), p=self.pp())
        elif k < 0.77:
            t = f"{r.choice(NAMES)} {r.choice(['said', 'says', 'thinks', 'knows', 'asked me if', 'told me that'])} {self.clause()}"
        elif k < 0.84 and self.verses:
            t = r.choice(self.verses)
        elif self.common:
            n = r.choice([1, 1, 2, 2, 3, 3, 4, 5, 6])
            t = " ".join(r.choice(self.common if r.random() < 0.6 else self.less) for _ in range(n))
            end = r.choice([".", ".", "?", "!", ""])
        else:
            t = self.clause()
        t = article(t)
        if r.random() < 0.04:
            end = "!" if end == "." else end
        return t[0].upper() + t[1:] + end

    def utterance(self):
        """A sentence, sometimes two short ones, sometimes without casing or punctuation."""
        r = self.r
        t = self.sentence()
        if len(t) < 18 and r.random() < 0.3 and t[-1] in ".!?":
            t += " " + self.sentence()
        if r.random() < 0.10:
            t = t.lower()
        if r.random() < 0.08:
            t = t.rstrip(".!?")
        return t


def spoken_key(text):
    """Texts of the same key are the same speech."""
    return text.lower().strip(".?!")


# Sentences kept out of training; used by evaluate.py.
HELD_OUT = """Hello, my name is Sesame.
The weather is very nice today.
I would like a cup of coffee, please.
She walked along the river in the morning.
What time does the train leave?
My brother lives in a small house.
We are going to the market tomorrow.
Can you help me find my keys?
The dog is sleeping under the table.
It will rain again on Friday.
Please close the window before you leave.
The book on the table is mine.
He bought seven red apples.
Thank you for your help.
I have never seen such a big tree.
They were waiting for the bus.
Do you know where the station is?
The children are playing in the garden.
Twenty five people came to the party.
This is the best soup in the city.
How long did you stay in Paris?
I forgot to bring my camera.
The moon is bright tonight.
Our teacher told us a funny story.
Turn left after the old bridge.
There is no milk in the kitchen.
You can call me at nine thirty.
The blue car is faster than the black one.
Sometimes I read a book before bed.
Let me know if you have any questions.
The water in the lake was cold.
Her father works in a hospital.
I think we should start now.
Two plus three is five.
The cat jumped over the wall.
Good morning, how did you sleep?
Everything will be all right.
The music was too loud.
We need more time to finish the work.
Are you coming with us?""".split("\n")
