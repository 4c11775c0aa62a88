"""What the till's thirty-character words mean, so that a customer can read a product's name."""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    """One ``WORD=meaning`` per word."""
    return {word: meaning.replace("~", " ") for word, _, meaning in (pair.partition("=") for pair in text.split())}


MEANINGS = _table("""
    ACC=accessories ACCESS=accessories ACCS=accessories ACCSS=accessories ACCESSIORES=accessories ADDITI=additives
    APPL=appliances ASCEPTIC=aseptic ASST=assorted BATTRS=batteries BBQ=BBQ BEV=beverages BEVERAG=beverages
    BG=bags BKD=baked BKNGWARES=bakeware BLUBLKRASP=blueberries/blackberries/raspberries BN=beans BNDGES=bandages
    BR=bread BRD=breaded BRDS=breads BRKFST=breakfast BRSKT=brisket BRST=breast BTH=bath BTL=bottle BTLS=bottles
    BTR=butter CARB=carbonated CATFD=cat~food CHERRIE=cherries CHICK=chicken CHIX=chicken CHOC=chocolate
    CHOCOCLATE=chocolate CHOCOL=chocolate CHOCOLA=chocolate CHP=chip CHS=cheese CKTLS=cocktails CKYS=cookies
    CLEANE=cleaners CLEANG=cleaning CNDLES=candles CND=canned CNDY=candy CNTRL=control COMBIN=combinations
    CONC=concentrate CONTAINR=containers CONT=contributions COOKI=cookies COOKNG=cooking CRACKE=crackers
    CRAN=cranberry CRBNTD=carbonated CRKR=crackers CRMD=creamed CRSTDAS=crostadas CRYSTL=crystal DAN=Danish
    DEOD=deodorant DESSRT=dessert DISPOSIBLE=disposable DL=deli DNR=dinner DNRS=dinners DOGFD=dog~food DPS=dips
    DRG=dressing DRNK=drink DRNKING=drinking DRNKNG=drinking DRNKS=drinks DRP=drops DRSNG=dressing DSH=dishes
    ELECT=electrical ELSTC=elastic FASH=fashion FD=food FDS=foods FEM=feminine FLAV=flavoured FLNK=flank
    FLV=flavour FLVR=flavoured FLVRD=flavoured FRD=fried FRISKIE=Friskies FRK=fork FRS=fresh FRTHR=further
    FRZ=frozen FRZN=frozen GARDN=garden GDS=goods GM=goods GNG=ginger GNGR=ginger GR=grain GRND=ground
    HANDKE=handkerchiefs HBC=health~and~beauty HD=head HNGRS=hangers HT=heat HYGN=hygiene INCL= INCLUDI=
    INCLUDING= INDR=indoor JCE=juice JUI=juice JUIC=juice LIQ=liquid LIQS=liquids LNCHMT=lunchmeat LNDRY=laundry
    LOZNG=lozenges LRG=large LSS=less LT=light LTR=litre MACH=machine MARIN=marinades MARINAD=marinades
    MASSGRS=massagers MEMORABLILIA=memorabilia MERCH=merchandise MFG=manufacturer MINWTR=mineral~water
    MISC=miscellaneous MIXS=mixes MLK=milk MLT=multi MNERAL=mineral MNR=manner MNRL=mineral MTL=metal MULT=multi
    MUSTAR=mustard MX=mix MXS=mixes NATRL=natural NDAIRY=non-dairy NTRTNL=nutritional NUTRTN=nutrition
    OCCAS=occasions ORGNZRS=organizers OTH=other OTHE=other OTYHER=other PC=piece PCKGD=packaged
    PEPPERIDG=Pepperidge PERSNL=personal PICKLD=pickled PICKLS=pickles PKG=packaged PKGD=packaged PKLD=pickled
    PLSTC=plastic PLT=plate PNCH=punch PNT=peanut PNUT=peanut PORT=portions PORTON=portions PPK=prepack
    PREM=premium PREP=prepared PREPORTND=preportioned PREPRD=prepared PRESHCOOL=preschool PRESLC=presliced
    PRESLCD=presliced PROD=produce PROTIEN=protein PRPCK=prepack PRSLC=presliced PTTY=patty PWDR=powder
    PWDRS=powders RBR=rubber REFIGERATED=refrigerated REFRIG=refrigerated REFRGRATD=refrigerated REG=regular
    RETL=retail RTD=ready-to-drink RW=random~weight SAL=salad SALD=salad SANDWIC=sandwiches SAUS=sausage
    SAUCESSALSAPICANTEE=sauces SECT=sections SEASO=seasoning SFT=soft SGL=single SHERBTS=sherbets SHLDR=shoulder
    SHLFSH=shellfish SHNK=shank SINGL=single SLC=sliced SLD=salad SNDWCH=sandwich SNGL=single SNKS=snacks
    SPEC=special SPECILATY=speciality SPLY=supplies SPRD=spread SPRT=sport SRV=serve STK=stick STRP=strip STW=stew
    SUP=super SUPP=supplements SUPPLEMEN=supplements SUPPPLIES=supplies SUPRT=support SV=serve SW=sweet SWT=sweet
    SWEE=sweetened SWEETNERS=sweeteners SYRNGS=syringes SYRP=syrup THN=thin TISS=tissue TORT=tortilla
    TRAD=traditional TRANS=transit TRSH=trash UNDERGARMEN=undergarments VAC=vacuum VEG=vegetable VEND=vending
    WAT=water WATE=water WH=whole WHL=whole WHLSM=wholesome WHS=warehouse WORCHESTER=Worcester WRA=wraps WT=weight
    WTR=water XMAS=Christmas XPCTRNT=expectorants ETHNC=ethnic HISPANIC=Hispanic MEXICAN=Mexican ITALIAN=Italian
    FRENCH=French GERMAN=German GREEK=Greek THAI=Thai ASIAN=Asian ORIENTAL=oriental INDIAN=Indian
    JAPANESE=Japanese AMERICAN=American CANADIAN=Canadian ENGLISH=English AUSTRALIAN=Australian
    MEDITERRANEAN=Mediterranean NZ=NZ CHRISTMAS=Christmas EASTER=Easter HALLOWEEN=Halloween VALENTINE=Valentine
    DVD=DVD DVDS=DVDs CD=CD TV=TV VHS=VHS SPF=SPF IQF=IQF OJ=OJ NFL=NFL MLB=MLB MAYBELLINE=Maybelline
    COVERGIRL=CoverGirl REVLON=Revlon LOREAL=L'Oréal ALMAY=Almay BARBIE=Barbie NERF=Nerf ALPO=Alpo
    PEDIGREE=Pedigree SALLY=Sally HANSEN=Hansen ADIDAS=Adidas CALGON=Calgon SKIPPY=Skippy RITZ=Ritz
    BARTLETT=Bartlett BOSC=Bosc GALA=Gala GRANNY=Granny SMITH=Smith FISHER=Fisher PRICE=Price LEGGS=L'eggs
    MENS=men's WOMENS=women's LADIES=ladies' CHILDRENS=children's KIDS=kids' BOYS=boys' GIRLS=girls' N=and
    BEERALEMALT=beer/ale/malt LOAVE=loaves HASBRO=Hasbro FM=FM HYDROCORTIZONE=hydrocortisone
    DIPILATORIES=depilatories HALLOWEN=Halloween POINSETTA=poinsettia SPHE=films RTS=ready-to-serve
    TMOBILE=T-Mobile
    """)
"""Upper-case word of the data set to what it stands for (``~`` here is a space); an empty meaning drops the word."""

UNITS = _table("""
    OZ=oz OZS=oz Z=oz CT=ct LB=lb LBS=lb ML=ml L=L LTR=L LRT=L IN=in FT=ft SQ=sq PK=pack P=pack PCK=pack QT=qt
    PT=pt GAL=gal GA=gal PC=pc DZ=dozen DOZ=dozen CTN=carton KIT=kit GM=g G=g MG=mg CM=cm MM=mm YD=yd FL=fl
    LD=loads LDS=loads LOAD=loads LOADS=loads STEM=stem STEMS=stems CP=cup CUP=cup ROLL=roll ROLLS=rolls USE=uses
    USES=uses SHEETS=sheets BAG=bag BOX=box BTL=bottle CAN=can TUBE=tube PAIR=pair LARGE=large LG=large MED=medium
    MEDIUM=medium SMALL=small MINI=mini KING=king QUEEN=queen HALF=half SIZE=size X=x LOOSE=loose PET=PET
    NR=bottle DZN=dozen PKS=pack PCS=pc DOSE=doses DOSES=doses PTS=pt POUCH=pouch REFIL=refill
    """)
"""Units of package sizes."""
