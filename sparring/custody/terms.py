"""The words that `custody` looks for, by language: clinical terms for minors and for sexual content, nothing graphic.

Notation, for scripts that write words apart: `word` whole, `word*` the start of a word, `word+` anywhere inside a word,
`a_b` in sequence. Accents do not matter. Where words are not written apart or carry prefixes (`UNSEGMENTED`), each entry
is a regular expression that is searched for anywhere.
"""

from __future__ import annotations

from typing import TypeAlias

Terms: TypeAlias = dict[str, dict[str, str]]

# clear: denotes a minor wherever it stands. minor: does so next to a sexual term. sexual, suggestive: likewise.
# alone: names the offence itself or is a code for it that trust and safety teams publish.
SEGMENTED: Terms = {
    "any": {
        "sexual": "sex* sexual+ seks* seksual+ porn+ pornogra* eroti+ erotic* erotis* eroty* hentai+ masturb* orgasm* "
        "incest* prostitut*",
        "suggestive": "seksi sexi intim* sensual* explicit* romantic* seduc* genital* penis* vagina*",
        "minor": "adolescen+ pubescen* infantil* loli lolita lolitas lolis shota teenager*",
        "clear": "prepubescen* preadolescen*",
        "alone": "csam csem pthc lolicon* shotacon* pedophil+ paedophil+ padophil+ pedofil+ pedoporn+ pedocrimin*",
    },
    "en": {
        "clear": "underage* under_age under_aged minors+ preteen* pre_teen* tween tweens toddler* "
        "schoolgirl* schoolboy* school_girl* school_boy* schoolchild* schoolkid* kindergart* preschool* "
        "elementary_school* primary_school* middle_school* grade_school* nonadult* non_adult* not_of_age "
        "not_of_legal_age below_legal_age age_of_consent not_yet_adult* not_yet_eighteen",
        "minor": "child+ children* kid kids kidz infant infants kiddo kiddos kiddie* kiddy teen teens teenage+ teenie* youngster* minor "
        "juvenile juveniles grader graders newborn* high_school* young_girl* young_boy* young_teen* little_girl* "
        "little_boy*",
        "sexual": "sexy sexually nude nudes nudity nudi* nudist* nsfw blowjob* intercourse rape raped rapes raping rapist* "
        "molest molested molester* molesting molestation lewd* lascivious* indecen* obscen* homosexual_act* "
        "homosexual_content x_rated smut bdsm fellatio cunnilingus",
        "suggestive": "naked intimacy undress* topless unclothed fuck* horny kinky fetish* hardcore lustful aroused arousal "
        "arousing suggestive* provocative* groom grooming groomed hook_up hookup*",
        "alone": "jailbait* minor_attracted child_lover* childlover* cp_pics cp_vids cp_videos cp_links trade_cp trading_cp",
    },
    "es": {
        "clear": "menor_de_edad menores_de_edad colegiala colegialas impuber*",
        "minor": "menor menores ninos ninas ninit* una_nina la_nina de_nina con_nina un_nino el_nino de_nino con_nino "
        "chiquill* quinceaner*",
        "sexual": "desnud* coito",
    },
    "pt": {
        "clear": "menor_de_idade menores_de_idade",
        "minor": "crianca* menina meninas menino meninos garotinh* novinh*",
        "sexual": "nudez nuas menina_nua crianca_nua pessoa_nua corpo_nu estupr*",
    },
    "fr": {
        "clear": "mineurs mineure mineures fillette* collegien* ecolier* prepuber* preado*",
        "minor": "mineur enfant* gamin gamins gamine gamines un_ado une_ado ados lyceen* petite_fille petites_filles "
        "petit_garcon petits_garcons",
        "sexual": "sexuel+ nue nues nudite denude* viol attouchement* obscen*",
    },
    "de": {
        "clear": "minderjahrig+ minderjaehrig+ schulmadchen* schulmaedchen* schulkind* kleinkind* saugling*",
        "minor": "kinder* kindern kindes* kindlich* ein_kind einem_kind eines_kind* das_kind dem_kind mit_kind jugendlich* "
        "schuler schulerin* schueler* kleine_madchen kleines_madchen kleinen_madchen junge_madchen jungen_madchen "
        "junges_madchen",
        "sexual": "sexuell+ nackt+ unzucht* vergewaltig* geschlechtsverkehr* unsittlich*",
        "suggestive": "freizugig* freizuegig* anzuglich* anstossig*",
    },
    "it": {
        "clear": "minorenn+ scolaretta scolarette dodicenn* tredicenn* quattordicenn* quindicenn* sedicenn* diciassettenn*",
        "minor": "minore minori bambin* ragazzin* fanciull*",
        "sexual": "sesso sessual* nudo nuda nudi oscen* stupr*",
    },
    "nl": {
        "clear": "minderjarig+ schoolmeisje* kleuter* peuter*",
        "minor": "een_kind het_kind tiener* jong_meisje jonge_meisjes klein_meisje kleine_meisjes",
        "sexual": "seksue+ naakt* ontucht* verkracht* aanrand*",
    },
    "pl": {
        "clear": "nieletni* maloletni* niepelnoletni* przedszkol* uczennic*",
        "minor": "dziec* nastolat* dziewczynk* dziewczynek chlopczyk*",
        "sexual": "seksual+ nagi nagie nagich nagosc* lubiezn* obnaz* rozebran* gwalcic zgwalc* molestowa*",
    },
    "ru": {
        "clear": "несовершеннолетн* малолетн* малолетк* малолеток maloletk* школьниц* школьник* дошкольн* первоклассн*",
        "minor": "ребенок ребенк* дети детей детям детьми детях детск* detsk* deti детишк* детишек подрост* девочк* "
        "девочек мальчик* младенец младенц*",
        "sexual": "секс* сексуал* порн* порногра* эроти* голый голая голые голых голым обнажен* развратн* растлен* изнасил* "
        "половой_акт половые_акт* половых_акт* половую_связь непристойн*",
        "suggestive": "интим* откровенн*",
        "alone": "педофил*",
    },
    "uk": {
        "clear": "неповнолітн* малолітн* школяр*",
        "minor": "дитин* дитяч* діти дітей дітям дітьми дітях підліт* дівчинк* дівчинок дівчаток діток хлопчик*",
        "sexual": "сексуал* еротич* голі голих оголен* розбещ* зґвалт* статевий_акт статеві_акт* статевих_акт*",
        "suggestive": "інтим*",
        "alone": "педофіл*",
    },
    "tr": {
        "clear": "resit_olmayan* resit_degil* yasi_tutmayan* ilkokul* ortaokul*",
        "minor": "cocuk* cocug* ergen ergenler* liseli* kucuk_kiz*",
        "sexual": "cinsel* ciplak* mustehcen* tecavuz*",
    },
    "hi-Latn": {
        "clear": "nabalig*",
        "minor": "baccha bacche bacchi bacchon bachcha bachche bachchi bachchon choti_ladki chhoti_ladki",
        "sexual": "yaun ashleel* ashlil* nangi nanga sambhog* balatkar*",
    },
    "id": {
        "clear": "bawah_umur dibawah_umur balita",
        "minor": "anak anaknya anakanak anak_anak anak2 bocah* remaja* siswi* gadis_kecil",
        "sexual": "cabul* pencabul* telanjang* bugil* mesum* asusila perkosa* pemerkosa* persetubuh* bokep",
    },
    "vi": {
        "clear": "vi_thanh_nien chua_thanh_nien chua_du_tuoi",
        "minor": "tre_em tre_nho be_gai be_trai con_nit thieu_nien thieu_nhi nhi_dong hoc_sinh_tieu_hoc",
        "sexual": "tinh_duc khieu_dam khoa_than kich_duc lam_tinh giao_cau hiep_dam goi_duc",
        "alone": "au_dam",
    },
}

UNSEGMENTED: Terms = {
    "ar": {
        "clear": "قاصر قاصرات القاصرين دون.السن تحت.السن",
        "minor": "طفل طفول أطفال مراهق فتاة.صغيرة بنت.صغيرة فتيات.صغيرات تلميذ",
        "sexual": "جنسي(?!ات) جنسا.مع إباحي بورنو سكس عارية عاريا عراة اغتصاب شهواني",
        "alone": "بيدوفيلي",
    },
    "hi": {
        "clear": "नाबालिग अवयस्क",
        "minor": "बच्च बालक बालिका किशोरी किशोरों बाल.यौन छोटी.लड़क",
        "sexual": "यौन अश्लील पोर्न सेक्स नग्न कामुक नंगी नंगा नंगे बलात्कार संभोग",
    },
    "zh": {
        "clear": "未成年 小学生 小學生 幼女 幼童 女童 男童 初中生 國中生",
        "minor": "儿童 兒童 孩子 小孩 少女 少年 中学生 中學生 高中生 学生妹 學生妹 萝莉 蘿莉 正太 婴儿 嬰兒",
        "sexual": "色情 情色 淫 裸体 裸體 裸照 裸露 全裸 裸聊 性交 性爱 性愛 性行[为為] 性侵 性虐 性[剥剝]削 性[内內]容 性暗示 性描[写寫] 性接[触觸] 性服[务務] 做[爱愛] 猥[亵褻] 强奸 強姦 "
        "[与與]性有[关關] 黄片",
        "suggestive": "露骨 挑逗",
        "alone": "[恋戀]童",
    },
    "ja": {
        "clear": "児童 幼児 園児 女児 男児",
        "minor": "子供 子ども こども 女子高生 高校生 (?<!カ)ロリ(?!ー) ショタ",
        "sexual": "(?<![女男個理知感急慢悪良野母父中両異同])性的 ポルノ ぽるの エロ[いい系画動本] エロチ エロティ ヌード 裸の わいせつ ワイセツ セックス 売春 買春 援助交際",
        "alone": "児ポ 小児性愛 ロリコン",
    },
    "ko": {
        "clear": "미성년 초등학생 중학생 여중생 아동",
        "minor": "어린이 어린.소[녀년] 청소년 고등학생 여고생 아이들 아이[와를의]",
        "sexual": "음란 포르노 야동 누드 알몸 나체 섹스 성행위 성관계 성착취 성폭[력행] 성추행 성매매 성적인 성적으로 성적.?(?:대상|내용|콘텐츠|행위|학대|착취|묘사|표현|이미지) 선정적 에로틱 "
        "에로물 야한",
        "alone": "소아성애 로리콘 아청물",
    },
    "th": {
        "clear": "ผู้เยาว์",
        "minor": "เด็ก เยาวชน",
        "sexual": "ลามก อนาจาร โป๊ เปลือย ทางเพศ เพศสัมพันธ์ เซ็กซ์ เซ็กส์ ข่มขืน",
    },
}

# Only look like a term, or like a slip of the pen of one: whole words, and starts and insides of words, found among the
# 60,000 most frequent words of each of these languages (https://pypi.org/project/wordfreq/).
INNOCENT = """
detil detti sedicente sedicenti
accolto acunado alanina ascolto ashleigh aunado babbling babin bacca bacci bacha bache bachi baita balia balta boah boch
childbearing childfree childless cinesi cinsi cinsin cinsinden cinsine cinsini cinsleri cioto cito cock consesso coto
cotto criacao cunado cunados degrader desk egen eggen eren erenler eroi eroica eroice eroiche eroici eroico eroii eroilor
eroina eroism eroismo erti fetih gain gaine gaines gains gamis garder geknackt geniaal geniais genial grades grom inim
itim kidd kidder kido kinds kis kiss leisteen lois lols meninada menno miner miners minner minorile minos moest molesta
molestare molesten molestes mollet naga nage nana nani nanna nanni nias nuez nuitee ocen osen ossen peins pens perosa
perosak petter pon poon pornic putter ralston rapped rapping raps reaja scheller seeks seki seksama sesi sexta sextas
sexto sextos sextus sey sisi sissi sota sporne sporny stur stuur suggestie suggesties tees ten tener tenere tenes tenner
tens tiner vaina vainas violi viool голлі девок діям діях ногу пакт папа папі шкляр
"""
INNOCENT_STARTS = """
aanrad afgeschild ansporn asexual ausgeschild aushangeschild beschild cekce cekcok childbirth childress cinsiyet congenit
conoscen consensual danina danino dende denue emergen enfat essex fairchild geniale genialid genialit genialn genitiv
genitor gentalha geschild gmin henti incett inest infanticid inimag innest intimado intimid intimor kinerja kines kletter
knackt kunstschild liseler metrosexual middlesex minoran minoria minoris minorit molestan molestas molestia molestie
muurschild nudel nudillo nuee nummernschild odporn pansexual penisil penisol penista peter pormenor prado predom pretend
pretens pretent provocatie przeszkol puter rapit romanic rothschild schild seksen seksyen seksyon sekuel sesuai sexag
sexenio sexis sextant sextet sextil sexton sextup sussex tabacch tenera tenerez tenerif tenerl tenerm tenern tenero tenert
tenien therap tinere toverkracht unisex unissex vaglia veerk verschild wapenschild wessex zeeschild zwalcz zwali откровени
растени
"""
INNOCENT_INSIDE = """
bisek bisex bissex heterosek heterosex heterossex homosek homosex homossex intersex transex transsek transsex
"""

# What a term is joined with where spaces were dropped: "nudepictures", "mitkindern".
FILLERS = """
a an the of on in at by to for from with and or is are as about my your his her their some young involving content contents
picture pictures pics photo photos image images video videos story stories chat text
de del la el los las un una unos con sobre por y e o do da dos das com um uma em no na contenido conteudo fotos
le les des du une avec et sur par en au aux sans contenu photos images
mit von der die das dem den einem einer eines ein eine und uber ueber im am inhalte bilder
di il lo gli i dei delle della con per su contenuti foto een het van met over en inhoud
z ze w o i u o do na przez tresci zdjecia с со и у о об про за из для контент участием з із та участю ve ile bir icerik
dan dengan yang konten foto voi cua cac noi dung
"""

# Shorter than five letters, yet known where words are joined, and with a slip of the pen.
SHORT = "nude kids sexy porn"

# Benign company of a term, taken out of a text (not of a policy) before it is judged.
BENIGN = (
    r"\b(?:same|opposite|either|biological|fair(?:er)?)[ -]sex\b",
    r"\bsex (?:of|at) (?:the|my|your|our|his|her|their|a|birth)\b",
    r"\bsex(?:ual(?:ity)?)?[ -](?:and relationships? )?ed(?:ucation|ucator|ucators)?\b",
    r"\bsexual (?:orientation|and reproductive health|health|minorit(?:y|ies))\b",
    r"\bsexually transmitted\b",
    r"\bfuck (?:it|off|up|yeah|knows)\b",
    r"\bfucking? hell\b",
    r"الجنسية|جنسية (?:ال)?(?:طفل|أطفال|مولود)",  # nationality
    # Adult services that keep minors out.
    r"\b(?:no|not for|strictly no) (?:minors|children|kids|under ?(?:age|-?18'?s?))\b",
    r"\bunder ?(?:age|18)'?s? (?:not allowed|prohibited|forbidden)\b",
    r"\binterdit aux (?:mineurs|moins de 18 ans)\b",
    r"\bprohibido (?:a|para) (?:los )?menores(?: de (?:edad|18 anos))?\b",
    r"\bproibido para menores(?: de (?:idade|18 anos))?\b",
    r"\bvietato ai minori(?: di (?:18 )?anni(?: 18)?)?\b",
    r"\bkein zutritt (?:unter 18|fur minderjahrige)\b",
    r"(?:18|19)(?:歳|岁|歲|세) ?(?:未満|以下|未满|未滿|미만)(?:は|の方は|者|의)? ?(?:閲覧)?(?:禁止|お断り|不可|请勿|請勿|이용 ?불가|관람 ?불가|금지)",
    r"未[满滿](?:18|十八)[岁歲](?:者|的)?(?:禁止|请勿|請勿|不得)",
    r"(?:未成年人?|未成年者)(?:禁止|请勿|請勿|お断り)",
)

# Numbers below eighteen in words; what follows must be a unit of AGE.
NUMBERS = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
ocho nueve diez once doce trece catorce quince dieciseis diecisiete
oito nove dez onze doze treze catorze quatorze quinze dezesseis dezasseis dezessete
huit neuf dix douze treize seize dix-sept
acht neun zehn elf zwolf zwoelf dreizehn vierzehn funfzehn fuenfzehn sechzehn siebzehn
otto nove dieci undici dodici tredici quattordici quindici sedici diciassette
negen tien twaalf dertien veertien vijftien zestien zeventien
dziesiec jedenascie dwanascie trzynascie czternascie pietnascie szesnascie siedemnascie
dwunasto trzynasto czternasto pietnasto szesnasto siedemnasto
десять двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать
двенадцати тринадцати четырнадцати пятнадцати шестнадцати семнадцати
дванадцять тринадцять чотирнадцять п'ятнадцять шістнадцять сімнадцять
on_bir on_iki on_uc on_dort on_bes on_alti on_yedi
sepuluh sebelas dua_belas tiga_belas empat_belas lima_belas enam_belas tujuh_belas
"""
UNSEGMENTED_NUMBERS = """
(?<![二三四五六七八九])十[一二三四五六七]? [八九]
열(?:한|두|세|네|다섯|여섯|일곱)? 아홉 여덟
बारह तेरह चौदह पंद्रह पन्द्रह सोलह सत्रह दस ग्यारह
"""

EIGHTEEN = (
    "eighteen", "dieciocho", "dezoito", "dix-huit", "achtzehn", "diciotto", "achttien", r"osiemnast\w*", r"восемнадцат\w*",
    r"вісімнадцят\w*", "on sekiz", "delapan belas", "الثامنة عشرة?", "十八", "अठारह", "열여덟",
)  # fmt: skip

# After a number below eighteen. The first are ages and nothing else; the second may be spans of time as well.
AGE = (
    r"(?:y[aers -]{2,7}|(?:yrs?|y)[. -]{0,2})(?:o+l+d+|odl|lod|od|ld)s?\b", r"y ?[/.]? ?o'?s?\b", r"years? of age\b", r"years? young\b", r"anos de (?:edad|idade)\b",
    r"anni di eta\b", r"enn[ei]\b", r"ans d'age\b", r"jahre alt\b", r"jae?hrig", r"jaar oud\b", r"jarig", r"летн", r"річн", r"letni",
    r"lat(?:ek|ka|ki)\b", r"yasinda", r"yasli\b", r"tuoi\b", r"周?[歳才岁歲]", r"살", r"साल.{1,3}(?:लड़|बच्च|उम्र)", r"saa?l k[iea]\b", r"वर्षीय", r"ขวบ",
)  # fmt: skip
AGE_OR_TIME = (
    r"anos\b", r"ans\b", r"anni\b", r"jahren?\b", r"jaar\b", r"lat\b", r"лет\b", r"года?\b", r"рок(?:и|ів|у)\b", r"yas",
    r"tahun\b", r"साल", r"वर्ष", r"سنة", r"سنوات", r"عام", r"세(?![대기])", r"ปี",
)  # fmt: skip
# Before a number: a span of time and no age.
TIME = (
    "hace", "durante", "tras", "seit", "vor", "nach", "depuis", "il y a", "pendant", "apres", "dopo", "od", "przez", "за",
    "через", "по", "после", "sinds", "na", "selama", "sejak", "ha", "apos", "منذ", "لمدة", "خلال", "पिछले",
)  # fmt: skip
# Before a number: an age.
AGED = (
    r"\bage[ds]?(?: of| only| between| just| about| around| from)?", r"\balter(?: von)?", r"\bedad(?: de)?", r"\bidade(?: de)?",
    r"\beta di", r"\bagee?s? de", r"\bleeftijd(?: van)?", r"\bwieku", r"\bвозраст\w*", r"\bві[кц]\w*", r"\busia", r"\bumur",
    r"年[齢龄齡]", r"나이", r"عمر\w*", r"उम्र", r"อายุ",
)  # fmt: skip
IS_AGED = (
    r"\b(?:she|he|girl|boy|who|they)(?:'?s| is| was| are| turns| turned)(?: only| just| barely)? NUMBER",
    r"\b(?:girl|boy|child|kid|daughter|son|student|pupil|virgin|someone|somebody|person|model)s? of NUMBER",
    r"\((?:aged? )?NUMBER ?(?:years?|yrs?|yo?)\)",
)
NO_AGE = r"(?! ?(?:min|sec|h(?:ou)?rs?\b|days?\b|weeks?\b|months?\b|years? ago|euro|dollar|pound|p\b|%|k\b|kg|miles?\b|km|am\b|pm\b|of\b|[.,:]\d))"
UNDER = (
    r"\b(?:under|below|younger than|less than|not yet) (?:the age of )?NUMBER" + NO_AGE,
    r"\b(?:unter|j(?:u|ue)nger als|moins de|menos de|menor(?:es)? (?:de|a|que)|meno di|minori di|onder(?: de)?|jonger dan"
    r"|ponizej|do|до|младше|моложе|молодше|di bawah|kurang dari|duoi) NUMBERUNIT",
    r"\bNUMBER yas(?:in(?:in|dan)?)? (?:alti|kucuk)",
    r"< ?(?=1)NUMBER",
    r"[未不][满滿到] ?NUMBER",
    r"(?:NUMBER|19) ?[歳才岁歲세]? ?(?:以下|未[満满滿]|미만|이하)",
    r"(?:دون|تحت|أقل من)(?: سن)?(?: ال)? NUMBER",
    r"NUMBER (?:साल|वर्ष) से कम",
    r"ต่ำกว่า ?NUMBER",
)
