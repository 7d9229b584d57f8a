"""A long conversation in two languages that states fifty facts once each, with questions that need them."""

from __future__ import annotations

import random
from typing import NamedTuple

from chatcli.conversation.history import Entry, History
from chatcli.core.messages import answer, question


class Fact(NamedTuple):
    """A fact, stated once; ``asked`` is a question that needs it, ``beside`` one on the same subject that does not."""

    statement: str
    asked: str
    beside: str


FACTS = (
    Fact(
        "My dentist is Dr Okafor.", "What is the name of my dentist?", "How often should one see a dentist?"
    ),
    Fact(
        "Our wifi password is walnut-7-heron.",
        "Which password does our wifi have?",
        "What makes a password strong?",
    ),
    Fact(
        "I parked the car on level 4 of the garage.",
        "Where did I park my car?",
        "How does a car engine work?",
    ),
    Fact(
        "My sister Ines gets married on 14 June.",
        "When is my sister getting married?",
        "What do people wear when they get married?",
    ),
    Fact("The cat only eats salmon.", "What does my cat eat?", "Why do cats purr?"),
    Fact(
        "I am allergic to penicillin.",
        "Which drug am I allergic to?",
        "Can one become allergic late in life?",
    ),
    Fact(
        "The staging server listens on port 8443.",
        "On what port is the staging server?",
        "How do I restart a server with systemd?",
    ),
    Fact(
        "My passport expires in March 2029.", "When does my passport expire?", "How long is a passport valid?"
    ),
    Fact(
        "The landlord's phone number is 0171 555 0142.",
        "How can I phone my landlord?",
        "What may a landlord ask for?",
    ),
    Fact(
        "Grandmother's soup needs a spoonful of miso.",
        "What goes into the soup my grandmother makes?",
        "How do I thicken a soup?",
    ),
    Fact("We named the project Halcyon.", "What did we name our project?", "How do I plan a project?"),
    Fact("My shoe size is 43.", "Which size are my shoes?", "How do I clean white shoes?"),
    Fact(
        "The quarterly review was moved to Thursday at 15:00.",
        "What time is the quarterly review?",
        "How do I prepare for a review?",
    ),
    Fact("My blood type is AB negative.", "Which blood type do I have?", "What is in blood plasma?"),
    Fact(
        "I keep the spare key under the blue flowerpot.",
        "Where is the spare key?",
        "How does a key open a lock?",
    ),
    Fact(
        "Our flight to Oslo is SK 804.",
        "What's the number of the flight to Oslo?",
        "How long before a flight should one arrive?",
    ),
    Fact(
        "The database user for reports is readonly_kay.",
        "Which database user do the reports need?",
        "How do I index a database table?",
    ),
    Fact(
        "My nephew plays the bassoon.", "Which instrument does my nephew play?", "What should a nephew get?"
    ),
    Fact(
        "The bakery on Mill Lane closes at noon on Mondays.",
        "When does the bakery close on Mondays?",
        "Why does bakery bread taste better?",
    ),
    Fact(
        "My thesis adviser is Professor Lindqvist.",
        "Who advises my thesis?",
        "How long is a thesis usually?",
    ),
    Fact(
        "The boiler was last serviced in 2021.",
        "When was our boiler serviced?",
        "Why does a boiler lose pressure?",
    ),
    Fact(
        "I promised Tomás the guitar lessons for his birthday.",
        "What did I promise Tomás?",
        "How do I tune a guitar?",
    ),
    Fact(
        "The invoice to Meyer is number 2087.",
        "What number has the invoice to Meyer?",
        "What must an invoice say?",
    ),
    Fact("My desk is 140 centimetres wide.", "How wide is my desk?", "How high should a desk be?"),
    Fact(
        "The beehive stands behind the greenhouse.",
        "Where does the beehive stand?",
        "How much honey does a beehive give?",
    ),
    Fact("我的猫叫年糕。", "我的猫叫什么名字？", "猫为什么喜欢纸箱？"),
    Fact("我妹妹住在成都。", "我妹妹住在哪里？", "妹妹过生日送什么好？"),
    Fact("我们公司的打印机在三楼。", "打印机放在公司哪一层？", "打印机卡纸怎么办？"),
    Fact("我对花生过敏。", "我对什么东西过敏？", "过敏会有哪些症状？"),
    Fact("项目代号是青鸟。", "我们的项目代号是什么？", "项目延期怎么办？"),
    Fact("奶奶的生日是腊月初八。", "奶奶哪天过生日？", "给奶奶买什么礼物？"),
    Fact("房东姓欧阳。", "我的房东姓什么？", "房东不退押金怎么办？"),
    Fact("我的车牌尾号是七二九。", "我的车牌尾号是多少？", "怎么申请车牌？"),
    Fact("周五下午三点要开评审会。", "评审会几点开？", "评审会要准备什么？"),
    Fact("我把备用钥匙放在鞋柜里。", "备用钥匙在哪儿？", "钥匙断在锁里怎么办？"),
    Fact("测试服务器的端口是九零九零。", "测试服务器用哪个端口？", "服务器怎么重启？"),
    Fact("我的导师是林教授。", "我的导师是谁？", "怎么给导师写邮件？"),
    Fact("我们家的路由器密码是竹叶青。", "路由器的密码是什么？", "路由器放哪里信号好？"),
    Fact("去杭州的高铁是G7349次。", "我去杭州坐哪一次高铁？", "高铁为什么这么快？"),
    Fact("我血型是O型。", "我是什么血型？", "血型会遗传吗？"),
    Fact("爸爸的药每天早饭后吃两片。", "爸爸的药怎么吃？", "药过期了还能吃吗？"),
    Fact("我最喜欢的茶是凤凰单丛。", "我最喜欢喝什么茶？", "茶叶怎么保存？"),
    Fact("小区的快递柜在南门旁边。", "快递柜在小区的什么地方？", "快递丢了怎么办？"),
    Fact("我侄子在学大提琴。", "我侄子在学什么乐器？", "乐器怎么挑选？"),
    Fact("牙医约在十一月二十号。", "我约了哪天看牙医？", "看牙医要带什么？"),
    Fact("书房的桌子宽一米四。", "书房的桌子有多宽？", "书房的灯怎么选？"),
    Fact("我答应了小雨教她游泳。", "我答应了小雨什么事？", "学游泳要多久？"),
    Fact("发票抬头写星海科技。", "发票的抬头写什么？", "发票丢了能补吗？"),
    Fact("冰箱是二零二零年买的。", "冰箱是哪一年买的？", "冰箱结霜怎么办？"),
    Fact("健身房的储物柜是八十八号。", "我的储物柜是几号？", "健身房一周去几次好？"),
)

_SUBJECTS = (
    *(
        "a sourdough",
        "the French Revolution",
        "binary search",
        "tide tables",
        "a cover letter",
        "black holes",
    ),
    *("a marathon", "the subjunctive", "composting", "compound interest", "chess openings", "watercolours"),
    *("a unit test", "the water cycle", "a sonnet", "tax brackets", "jet lag", "photosynthesis", "a budget"),
)
_ASKED = (
    "What is the best way to begin with {}?",
    "Can you explain {} to me in three sentences?",
    "What does my friend mean when he says he is tired of {}?",
    "When is the right time for {}, and which mistakes do people make?",
    "Where do I find out more about {}?",
    "How does {} work, and who found that out?",
)
_ANSWERED = (
    "Most people begin with {} too fast. Take a week for the basics, and write down what you notice.",
    "In short, {} is about patience: the first part is simple, the second is not, and the third follows from both.",
    "There are several ways to look at {}. The usual one is good enough for every day, and easy to remember.",
    "Start small. What matters in {} is that you do it often; the name of the method does not.",
)
_CHINESE_SUBJECTS = (
    *(
        "红烧肉",
        "唐诗",
        "二分查找",
        "潮汐",
        "求职信",
        "黑洞",
        "马拉松",
        "虚拟语气",
        "堆肥",
        "复利",
        "围棋",
        "水彩",
    ),
    *("单元测试", "水循环", "税率", "时差", "光合作用", "预算"),
)
_CHINESE_ASKED = (
    "{}应该怎么入门？",
    "能不能用三句话解释一下{}？",
    "我的朋友说他不喜欢{}，是什么意思？",
    "什么时候适合学{}？有哪些常见的错误？",
    "在哪里可以了解更多关于{}的知识？",
)
_CHINESE_ANSWERED = (
    "{}不难，先花一周打好基础，把你注意到的东西写下来。",
    "简单地说，{}需要耐心：第一步很简单，第二步不简单，第三步自然就会了。",
    "看{}有很多角度，平时用最常见的那个就够了，也容易记住。",
)


def long_conversation(turns: int, seed: int) -> tuple[History, dict[Fact, int]]:
    """Return a conversation of ``turns`` turns and the place of each fact in it.

    The subject of each fact is mentioned three more times without stating it.
    """
    chance = random.Random(seed)
    pairs = [_chatter(chance) for _ in range(turns)]
    places = chance.sample(range(turns - 100), len(FACTS) * 4)
    statement = dict(zip(FACTS, places, strict=False))
    for fact, place in statement.items():
        pairs[place] = (fact.statement, "好的，我记住了。" if fact.statement[-1] == "。" else "Good to know.")
    for place, fact in zip(places[len(FACTS) :], FACTS * 3, strict=True):
        pairs[place] = (fact.beside, pairs[place][1])
    entries = []
    for number, (asked, answered) in enumerate(pairs):
        entries += [Entry(f"q{number}", question(asked)), Entry(f"a{number}", answer(answered))]
    return History(entries), statement


def _chatter(chance: random.Random) -> tuple[str, str]:
    chinese = chance.random() < 0.4
    subject = chance.choice(_CHINESE_SUBJECTS if chinese else _SUBJECTS)
    asked = chance.choice(_CHINESE_ASKED if chinese else _ASKED)
    answers = _CHINESE_ANSWERED if chinese else _ANSWERED
    answered = " ".join(chance.sample(answers, 2))
    return asked.format(subject), answered.replace("{}", subject)
