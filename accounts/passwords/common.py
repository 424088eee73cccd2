"""The words that common passwords are made of.

The list was written by hand for Gatepost and is under its licence; it was not taken from a list of
stolen passwords or from another project. It has what people type first: the word for password in
many languages, keys that lie side by side, names, teams, places, seasons, phrases, and the terms of
an office and of a mail server. `accounts.passwords.strength` undoes the usual changes (capitals,
digits for letters, a year or an exclamation mark at the end) before it looks here, so the list has
words without them, and each stands for a few thousand passwords.
"""

from __future__ import annotations

from functools import cache
from typing import Final

_WORDS: Final = """
aaabbb aabbcc abba abc abcabc abcd abcdabcd abcdef abcdefg abcdefgh abcdefghi abcdefghij abracadabra
abril access accessgranted accounting acdc achilles acmilan adam adgangskode admin adminadmin
administrador administrateur administrator adminpassword adrian adventure agosto airbus airforce
airplane airport ajax aladdin alaska albert alberto alejandro alex alexander alexandra alexandre
alexis algeria alice alicia allah allgood allison alohomora alright always amanda amarillo amazing
amazon amber amen america american amor amore amoremio amormio amour amsterdam amy analog andrea
andreas andrew android angel angela angelica angelina angels animal animals anime ankara anna anne
annette annika anonymous anthony antonio anyone aout apache apollo apple apples april aprile aragorn
arduino argentina army arschloch arsenal arthur asd asdasd asdasdasd asdf asdfasdf asdfg asdfgh
asdfghj asdfghjk asdfghjkl ashley assassin asshole athena athens atlanta atlantis atletico atomic
audi aufwiedersehen august aunt aurevoir austin australia austria auto automne automobil autos
autumn avengers avril awesome axe azerty azertyuiop azul babies baby babybaby babyboy babydoll
babygirl bach backdoor backup bacon baerchen baggins bailey bambi banana bananas bandit bangkok
bangladesh barbara barbie barcelona bartsimpson baseball basketball bass bastard batman batmobile
battery batterystaple bayern bayernmunchen beach bear bears beatles beautiful beauty beckham bedroom
beer beethoven beijing belgium believe believer bella ben benfica benjamin benvenuto bequiet berlin
bernd besiktas bestfriend bestfriends beyonce bianco bible bicycle bienvenido bienvenue bier bigboss
bigdick bike biker bikers bilbo billion bingo birgit birthday bismillah bitch bitches bitcoin bitte
black blackberry blackbird blackcat blackdog blackjack blacksabbath blackwhite blade blanc blanco
blank blau bleach blessed blessing bleu blink blinkblink blowjob blue blueberry bluebird blueblue
bluemoon bluesky bluetooth blyat bmwbmw boat bobmarley boca boeing bomb bonita bonjour bonsoir boobs
boomer borussia boss bosslady boston boxing boy boyfriend boys brandon brandy brasil braves brazil
bread brian britain britney britneyspears brittany broncos brother brothers brown browns bruno
brussels bubba bubblegum bubbles buddha buddy buenasnoches buenosdias bugsbunny bullet bulls
bullshit bumblebee bunny buonanotte buongiorno burger bush business buster butter buttercup
butterfly bye byebye caballo cabron caesar cairo cake california callofduty camaro camera canada
candy cane cannabis cappuccino captain captainamerica car carinho carino carlos carmen carol
carolina caroline carpediem carrot cars cartman cash casino casper castle cat catdog catherine
catlover catwoman cazzo celtic celtics centos chainsaw champion champions changeit changeme
changemenow changethis charger charizard charles charlie charlotte chat cheers cheese cheeseburger
cheetah cheguevara chelsea chelseafc cherie cherry chess chester cheval chevrolet chevy chewbacca
chicago chicken chief chien children chile china chinese chocolat chocolate chouchou chris christ
christian christina christine christmas christoph christopher chrome church churchill ciao ciaobella
ciaociao cinderella cindy cinema cisco citroen city clara claudia claudio clave cleopatra clinton
cloud clouds cobra cocacola cock coco coconut coder coding coffee coffeetime cogitoergosum coke
coldplay college colombia comein comeon company computer computers concert connard contrasena
contrasenya cookie cookies cool coolgirl coolguy coolman cooper corazon corinthians corporate
correcthorse correcthorsebatterystaple corvette cosmos coucou counterstrike country courage cousin
cow cowboy cowboys cpanel cricket crimson cristiano crocodile crow crypto crystal cubs cupcake cute
cutie cycling cyclist dad daddy daisy dakota dali dallas dance dancer dancing dancingqueen daniel
daniela danielle danke dankeschoen darling darthvader darwin database daughter david deadpool
dearest debian december decembre deeppurple default defaultpassword delhi demo demodemo demon
denmark denver department desktop destiny detroit deutschland developer development devil dezember
diablo diamond diamonds diana dicembre diciembre dick diego dienstag digital dimanche disco discord
dobranoc dobry docker doctor dodgers dog doggie doggy doglover doit dollar dollars dolphin dolphins
domingo dominic dominik domino donald donaldduck donkey donna donnerstag dontknow donttouch doom
door doors dorothy dortmund doudou douglas dovecot dracula dragon dragonball dragonfire dragonfly
dragons dream dreamer dreaming dreamland dreams dresden drummer drums drupal ducati duck ducky duke
dumbass dumbledore dupa dusty dylan dziekuje dzien eagle eagles earth easter ecole edcrfv edison
eduardo edward eeyore egypt einstein eintracht electric electronic elena elephant elisabeth elite
elizabeth elsa elvis elvispresley email emailemail emailpassword emerald emily eminem emma empty
energy enero engel engine england enter enterprise entry eric erika escuela espana espresso estate
esther estrella ete eternity ethan ethereum ethernet euro eva evelyn everton everyone example
excellent exchange exim expelliarmus explorer fabian facebook fahrrad fairy fairytale faith falcon
fall fallout familia familie famille family fanta fantastic fantasy farfalla father fcbarcelona
fcbayern febbraio febrero februar february fedora feierabend felix fenerbahce fernando ferrari
fevrier feyenoord fiat fick ficken finance findingnemo finland fire fireball firebird firefly
firefox fireman firewall firstsecond fisherman fishing flame flamengo flash florian florida flower
flowers football footballer force ford forest forever foreverlove forgetit forgot forgotten fortnite
fortune fox france francesca francesco francis francisco frank frankenstein frankfurt franz freak
frederic freedom freitag friday friend friends friendsforever friendship fritz fritzbox frodo frog
froggy frozen fruehling fruhling fuck fucker fuckit fuckme fuckoff fuckthis fuckyou funny futurama
future gabriel gabriela gabriele galatasaray galaxy galileo gamemaster gameofthrones gameover gamer
gaming gandalf gandhi ganesh gangster garden garfield garlic gast gatepost gateway gato gatto
geburtstag geek geheim geheimnis gelb gennaio gentleman georg george gerhard germany geslo getlost
getout giants ginger giovanni giraffe girl girlfriend girls gitarre github gitlab giugno giuseppe
giveup gizmo gladbach gladiator glory gmail goat goaway god godbless godfather godisgood godislove
godzilla goethe gohome goku gold golden goldfish golf golfer golfing gollum goodbye goodday goodluck
goodmorning goodnight goofy google goose gorilla gospel gotham gothamcity gotohell grace gracias
grandma grandpa granted grape gravity gray grazie greece green greenapple greenday gregory grey
gruen gryffindor guest guillaume guitar gun guns gustavo gutenacht gutenmorgen gutentag hacked
hacker hackers hackme hacktheplanet hades haeschen hakunamatata hallo halloduda hallohallo halloween
halo hamburg hamburger hamlet hammer hamster handball handsome handy hannah hannover hanoi hans
hansi hansolo happiness happy happyday happylife happynewyear harald harley harleydavidson harry
harrypotter hase hashtag hasi haslo hastalavista hawaii hawk heather heaven heavymetal hedgehog
heidi heinz helicopter hell hello helloagain hellohello hellokitty helloworld helloyou helmut
helpdesk helpme heman henry herbert herbst hercules hermione hero heroes hertha heslo hey hiphop
hippo hitman hiver hobbit hockey hocuspocus hogwarts hola holahola holger holiday holidays holland
hollywood holyspirit home homer homersimpson homesweethome honda honey honeybear honeybee honeymoon
hongkong honor hooters hope horse horses hostmaster hot hotelcalifornia hotmail hotspot hotstuff
hottie house houston howdy html hulk hund hunde hunter hunting hurricane husband iamyourfather ice
icecream icecube icehockey iceman ichliebedich idiot idontcare idontknow iforgot illbeback ilovedad
ilovegod iloveher ilovehim ilovejesus iloveme ilovemom ilovemusic ilovemylife iloveu iloveyou
iloveyoubaby iloveyousomuch iloveyoutoo imagine incognito incorrect independence india indian
indonesia infinity ingrid instagram inter intermilan internet inthenameofgod intranet inuyasha
invalid inverno invierno invite iphone iredmail ireland irene ironmaiden ironman isabel isabella
island israel istanbul italia italy ivan jack jackass jackpot jackson jacob jade jaguar jakarta jake
james jan jana januar january janvier japan japanese jasmin jasmine jason jasper jaune java
javascript javier jedi jeffrey jelszo jenkins jennifer jeremy jerusalem jesien jesse jessica jesus
jesuschrist jesusislord jetaime jeudi jewel jochen joe joel johannes john johnny johnson joker
jonathan jonsnow joomla jordan jorge jose josef joseph joshua joy joyful joystick juan judith judo
juergen jueves juillet juin juli julia julian julie juliet julio july june juni junio juniper
jupiter jurgen justdoit justice justin justinbieber juventus kaboom kangaroo karaoke karate karin
karl katharina katherine kathrin katie katrin katze katzen kawasaki keepout kelly kennedy kenneth
kennwort kenobi kenya kermit kevin key keyboard keymaster keys khaleesi kids kiev killer kimberly
kinder king kingking kingkong kings kitchen kitkat kitten kitty kittycat kiwi klaus knicks knife
knight koala kobe kocham kochanie koeln konstantin korea kotek krakow krishna kristin kryptonite
kubernetes kurwa kyle ladies lady ladybug ladygaga lake lakers lamborghini lannister laptop lars
lasagne laser laska lasvegas lato laugh laughing laura lauren laurent lavender lawyer leader league
leagueoflegends lebron ledzeppelin leet legend legendary legolas lehrer leia leipzig lemon lemons
leon leonardo leonardodavinci leopard lesbian letmein letmeinnow letmeinplease letsdoit letsgo
liberty liebe liebling lightning lilly lily lincoln linkedin linkinpark linux lion lionking lions
lisa lisboa liverpool liverpoolfc lizard lkjhgfdsa lmao lock logan login logmein logon loki lol lola
lollol london lordoftherings lorenzo losangeles losenord loser losers lottery louis louise loulou
love loveable loveislife loveit lovelove lovely loveme lover loverboy lovergirl lovers loveyou
loving loyalty lozinka lubie luca lucas lucia lucifer luck lucky luckyday luckyone luckystar lucy
luglio luis lukas luna lundi lunes macbeth macbook machine madison madonna madre madrid maerz mafia
magento maggie maggio magic magical magician mai mail mailbox mailcow mailpassword mailserver mailu
malaysia mama mami mamma man manager manchester manchesterunited mancity mandela manfred manga mango
manila manuel manunited maradona marc marcel march marco marcus mardi margaret maria mariah marie
marina marines mario marion mariposa mark marketing markus marlboro marley mars martes martin
martina marvel mary marzo master masterkey mastermind masterpass masterpassword masters masteryoda
mathias matrix matthew matthias maurice maus mausebaer mausi maverick max maximilian maximum maximus
maxwell may maybe mayo maytheforcebewithyou mazda megadeth melanie melbourne melissa melon meme
mercedes mercedesbenz merci mercibeaucoup mercredi mercury merde merhaba merlin merrychristmas messi
metal metallica metropolis mets meuamor mexico miami miamor michael michaeljackson michaeljordan
michelangelo michele michelle mickey mickeymouse microsoft midnight miercoles mierda miguel mike
milacek milan milk million millionaire milo miluji minecraft minnie miracle miranda misiek
mississippi misty mittwoch mivida mnbvcxy mnbvcxz mobile modem modoboa mohamed mohammad mohammed
moin molly mom mommy monamour monday monet money moneyman moneymoney mongodb monica monika monitor
monkey monkeys monopoly montag montana moon moonlight moonshine mordor morgan morocco morpheus
moscow moskva motdepasse mother motherfucker motorcycle motorrad mountain mountains mouse movie
movies mozart muchasgracias muenchen muffin muhammad mum mumbai mummy munich murphy music musica
musik mustang myangel mybaby myboy mycat mydaughter mydog myfamily mygirl myheart myhome myhouse
mykids mylife mylove mylover myname mynameis mypass mypassword mysecret myson mysql mystery myszka
nadine nagios naked namaste nameless nana nancy napoleon napoli naruto natale natalia natalie
natasha nathan navidad navy negro nelson nemo neo neptune nerd nero netflix netherlands network
never nevergiveup nevermind nevermore newcastle newgame newpassword newton newuser newyear newyork
newyorkcity newzealand neymar nginx nicholas nick nicola nicolas nicole nigeria nikita nina ninja
ninjas ninjaturtles nintendo nirvana nissan nobody noel noentry noidea noir nokia noname none nono
noob nopass nopassword norbert norge norway nothere nothing notpassword november novembre noviembre
noway nuclear nude nugget null number numberone numero nurse nutella oasis obama obrigada obrigado
ocean october octobre octubre oesterreich office okay okok okokok oktober olaf oldpassword oliver
olivia olympus oma omg onceuponatime onedirection onepiece onetwo onetwothree onetwothreefour onion
opa opal opel opensesame openup opera operator oracle orange orca orchid oreo organization orgasm
oscar ostern otaku otono ottobre outlook overwatch owl owner pablo packers padre pakistan palabra
palace palmeiras pamela panda panther papa papi paradise paris parol parola parole parrot party
partytime pass passcode passphrase passwd password passwordadmin passwordincorrect passwordtest
passwort pasta patches patricia patrick patriots patrizia paul paula pauline paypal peace peaceful
peach peaches peanut pearl pebbles pedro pele pendejo penguin penis pepper pepsi perfect perro peru
peter peterpan petra peugeot pferd pferde phantom philadelphia philip philipp philippines phillip
phoenix phone photo photon photos piano picard picasso picture pictures pierre pig pigeon piggy
piglet pikachu pilot pilots pineapple pink pinkfloyd pinocchio pirate pirates pistol pizza planet
plasma playboy player players playgame playstation please pleasechange pleasechangeme plesk pluto
pocahontas poiuy poiuytrewq pokemon poker pokerface poland police policeman polska pony pookie porn
porno porsche porto portugal poseidon postfix postgres postgresql postmaster potato potter power
powerful powerrangers powers precious pretty primavera prince princesa princess princessa
principessa printemps printer prinzessin private privet production professor program programmer
protected protection psv public pumpkin puppy puppylove purple purplerain pussy puta putain puzzle
pwned pyramid python qawsed qaz qazqaz qazwsx qazwsxedc qazwsxedcrfv quake quantum queen queenqueen
qwaszx qwe qweasd qweasdzxc qweqwe qwerasdf qwert qwerty qwertyu qwertyui qwertyuio qwertyuiop
qwertz qwertzu qwertzui qwertzuiop rabbit racecar racer rachel racing radio radiohead rafael raiders
rain rainbow rainer rainloop rainy ralf ralph ramona rangers raphael rascal raspberry raspberrypi
raspbian rat raven raymond ready readytogo realmadrid rebecca rebel rebels red redblue redbull
redhat redis redrose redskins redsox reggae regina release remember rememberme reminder renate
renault respect restore rex rhino ricardo rich richard richie ricky rifle rihanna riley river robbie
robert roberto robin roblox rock rocket rocknroll rockstar rocky rofl rojo roland rolf rollingstones
roma roman romeo romeoandjuliet ronald ronaldinho ronaldo rooster root rootpassword rootroot rose
rosebud rosemary roses rosso rot rouge roundcube router ruby rudolf rugby runner running russell
russia rusty ryan sabado sabine sabrina safari safe safety sailing sailor sailormoon saints salam
salasana sales salope salt salut salute sam samantha samedi sammy sample samson samstag samsung
samuel samurai sandra sandwich sandy sanfrancisco sante santos saopaulo sapphire sarah sascha sassy
sasuke satan saturday saturn saudade sauron scanner scarlet schalke schatz schatzi scheiss scheisse
schiller schmetterling schnucki schokolade school schule schumacher schwarz schweiz scooby scoobydoo
scooter scorpion scotland scott scout scrabble sdfghj sea sean seattle sebastian secret secrete
secreto secure secured security segreto selfie sendmail senha seoul september septembre septiembre
sergio server serverserver service servus sesame settembre sex sexsex sexy sexyboy sexygirl shadow
shakespeare shakira shalom shanghai shannon shark sharks sharon sheep sheila shhh ship shirley shit
shotgun shrek shuttle shutup sifre signin silber silence silke silver silverado silvia simba simon
simone simpsons simsalabim singapore sistema sister sisters siteadmin skate skateboard skater
skeleton skeletonkey skoda sky skyline skype skyrim skywalker slaptazodis slipknot slytherin
smartphone smile smiley smiling smoke smokey snake snape snickers sniper snoopdogg snoopy snow
snowball snowboard snowflake snowman snowy soccer soldier sole soleil somebody sommer son sonic
sonja sonntag sophia sophie southafrica southpark space spaceman spaghetti spain sparky sparrow
sparta spartan spasibo spider spiderman spike spirit spock spongebob spongebobsquarepants sporting
spotify spring sprite sqlserver squarepants squirrel staging standard star starcraft stardust
starfish stargate stark starlight stars startrek starwars stayout steelers stefan stefanie steffen
stella stephanie stephen steven stopit storm stormtrooper stpauli strawberry street strength stronzo
student students stupid stuttgart subaru submarine sugar sugarbear suka summer sun sunday sunflower
sunny sunrise sunset sunshine suomi super superadmin superb supercalifragilistic supergirl superhero
superman supermario supernova superpower supersecret superstar superstars superuser support surfer
surfing susan susanne suzuki sven svenja sverige swag swallow sweden sweet sweetheart sweetie sweety
swimmer swimming switch switzerland sword sydney sysadmin system systemadmin systems tablet taiwan
tanja tank taylor tea teacher teamo techno teddy teddybear telefon telegram telephone teletubbies
television temp temporary tennis tequiero tequila teresa tesla test tester testing testme
testpassword testtest testuser tetris texas thailand thanks thanksgiving thankyou thankyouverymuch
thebeatles theend theforce thepassword theresa thisisasecret thisisatest thisismypassword thomas
thor thorsten thunder thunderbird thundercats thursday tiamo tiger tigers tigger tim timothy tina
tinker tinkerbell titanic tits tmp tobeornottobe tobias toby together tokyo tomato tomcat tommy toor
topsecret tornado torsten tortoise tottenham tourist toutou toyota tractor train trains trance
transformers travel traveller treasure tree trees trinity trixie truck trucker truelove trump trust
trustme trustno trustnoone tschuess tucker tuesday tulip tunisia tupac turkey turkiye turquoise
turtle tweety twitter twix tyler typo ubuntu udo ukraine ulrich uncle undefined unicorn unitedstates
universe university unknown unlock urlaub ursula usa user username userpassword usetheforce utopia
uwe vacances vacation vader vaffanculo valentina valentine valeria vampire vanessa vangogh vegas
vegeta vendredi venezuela venus vera verano verdammt verde veronica veronika version vert victor
victoria victory video vienna viernes vietnam vikings village vincent violet violin viper virginia
visitor vita vivian vmware vodka void voldemort volker volkswagen volleyball volvo voyager
wachtwoord wales walter warcraft warrior warriors warszawa washington water waterfall watermelon
webadmin webmail webmaster wednesday weed weekend weihnachten weiss welcome welcomeback welcomehome
werder werewolf werner westham whale whatever whatsapp whatsup whatthe whiskers whiskey whisky white
whitehouse whitney wien wife wifi william williams willkommen wilson window windows wine winner
winners winnie winniethepooh winston winter winteriscoming wiosna wireless witch wizard wlan wolf
wolfgang wolverine wolves woman wonderful wonderwoman wordpress world worldofwarcraft worldpeace
worldwide wrestling wrong wsxedc wtf wtfwtf xavier xbox xmas xyz xyzxyz yacht yahoo yahtzee yamaha
yankees yasmin yellow yes yesno yesterday yesyes yoda yolo yourname yourpassword youtube yvonne
yxcvbnm zabbix zachary zaq zaqwsx zaqxsw zaqzaq zebra zelda zeus zidane ziggy zima zimbra zoe zombie
zorro zuerich zxc zxcvb zxcvbn zxcvbnm
""".split()  # noqa: SIM905


@cache
def common_words() -> frozenset[str]:
    """Return the words, in lower case; the set is built at the first call."""
    return frozenset(_WORDS)
