"""Names for a district that does not exist: people, schools, streets of thought.

Pure data and two small functions over it. The lists were written for this project; a combination that
matches a living person does so by chance. Names come in groups, so that given and family names go together,
and a few are there because software trips over them: apostrophes, hyphens, accents, one letter, the surname
Null, names outside the Latin script.
"""

# ruff: noqa: RUF001 - these letters are meant
from __future__ import annotations

import unicodedata
from typing import NamedTuple

# Letters that do not fall apart under NFKD, and the marks people type inside names.
_BY_HAND = str.maketrans(
    {
        "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ß": "ss", "æ": "ae", "Æ": "Ae", "ð": "d", "Ð": "D",
        "þ": "th", "Þ": "Th", "ı": "i", "œ": "oe",
    }
)  # fmt: skip

# Names outside the Latin script, with the spelling that goes into an address.
ROMANISED = {
    "佐藤": "sato", "鈴木": "suzuki", "高橋": "takahashi", "渡辺": "watanabe", "小林": "kobayashi",
    "蓮": "ren", "陽翔": "haruto", "結衣": "yui", "さくら": "sakura", "美咲": "misaki", "大翔": "hiroto",
    "김": "kim", "이": "lee", "박": "park", "서연": "seoyeon", "지우": "jiwoo", "민준": "minjun", "도윤": "doyun",
}  # fmt: skip


class NameGroup(NamedTuple):
    """Names that are found together; `weight` is the group's share among all people, in parts per thousand."""

    weight: int
    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]


def _split(text: str) -> tuple[str, ...]:
    """Words of a text; an underscore is a space inside a name."""
    return tuple(word.replace("_", " ") for word in text.split())


GROUPS: tuple[NameGroup, ...] = (
    NameGroup(
        330,
        _split(
            "Abigail Ada Alice Amelia Audrey Beatrice Charlotte Clara Claire Daisy Eleanor Eliza Ella Emma "
            "Evelyn Faith Flora Grace Hannah Hazel Iris Ivy Jane Josephine Julia Laura Leah Lily Lucy Mabel "
            "Margaret Molly Nora Olive Penelope Phoebe Rose Ruby Sarah Sophie Stella Tessa Violet Willa Wren "
            "Anne-Marie Mary_Kate Jo"
        ),
        _split(
            "Aaron Adam Asher Benjamin Caleb Calvin Charles Daniel David Dean Eli Elliot Ethan Ezra Felix "
            "Finn Gabriel George Graham Henry Hugo Isaac Jack James Jasper Joel Jonah Joseph Jude Leo Levi "
            "Liam Lucas Miles Nathan Noah Oliver Oscar Owen Peter Reid Samuel Silas Simon Theo Thomas Walter "
            "Wesley J.D. Al"
        ),
        _split(
            "Abbott Ames Archer Ashdown Barlow Baxter Beckett Bennett Birch Blackwood Bramwell Brooks "
            "Calloway Carver Chandler Clay Colby Cooper Crane Dalton Dawson Draper Dunmore Ellison Fairbank "
            "Fielding Fletcher Foss Garland Gates Glover Granger Hale Harlow Hartwell Hawthorne Holloway "
            "Hurst Ingram Jennings Keane Kirby Lockwood Marlow Mercer Merrill Moss Nash Norwood Null Oakley "
            "Pace Pembrook Pike Prescott Quill Radcliffe Ramsey Redfern Rowe Sawyer Shaw Sinclair Stanton "
            "Sterling Thorne Tilden Underhill Vance Wakefield Walsh Weaver Whitaker Whitlock Winslow Wolfe "
            "Yardley St._Clair De_Witt Smith-Barlow"
        ),
    ),
    NameGroup(
        240,
        _split(
            "Adriana Alejandra Alma Ana Ángela Beatriz Camila Carmen Catalina Daniela Elena Esperanza "
            "Gabriela Inés Isabel Jimena Lucía Luz María Mariana Marisol Natalia Noemí Paloma Paola Pilar "
            "Raquel Renata Rocío Sofía Valentina Ximena Yolanda María_José"
        ),
        _split(
            "Adrián Alejandro Andrés Ángel Bruno César Cristóbal Diego Eduardo Emiliano Esteban Felipe "
            "Fernando Gael Héctor Hugo Ignacio Iván Javier Joaquín José Julián Leonardo Luis Mateo Miguel "
            "Nicolás Óscar Rafael Ramón Rodrigo Santiago Tomás José_Luis"
        ),
        _split(
            "Acosta Aguilar Alvarado Arroyo Ávila Barrera Bautista Beltrán Cabrera Calderón Cárdenas "
            "Castillo Cervantes Contreras Delgado Domínguez Escobar Espinoza Figueroa Fuentes Galván "
            "Guerrero Ibáñez Jiménez Lozano Luján Maldonado Medina Mejía Montoya Muñoz Núñez Ochoa Ordóñez "
            "Pacheco Peña Quintero Ríos Robles Rosales Salazar Sandoval Solís Treviño Valdez Vega Villanueva "
            "Zamora Zúñiga De_la_Cruz García_Lozano Ruiz-Peña"
        ),
    ),
    NameGroup(
        130,
        _split(
            "Aaliyah Abena Adaeze Amara Amina Ayana Chidinma Deja Ebony Fatou Imani Jada Kamaria Kenya "
            "Keisha Laila Makena Mariama Naomi Nia Nyla Oluchi Safiya Sanaa Simone Tamika Thandiwe Zahara "
            "Zola Zuri D'Asia"
        ),
        _split(
            "Abdou Amari Andre Chike Darius Demetrius Dion Elijah Emeka Femi Idris Isaiah Jabari Jamal Kaleb "
            "Kwame Lamar Malik Marcus Mekhi Obinna Omari Quincy Rashad Sekou Tariq Terrence Tobias Xavier "
            "Zion De'Andre"
        ),
        _split(
            "Abara Adeyemi Afolabi Asante Baptiste Boateng Bonsu Chambers Coleman Diallo Diop Easley Ekwueme "
            "Freeman Gaines Greer Holmes Jeffers Kamau Keita Mbeki Mensah Mosley Mwangi Nkosi Nwosu Obi "
            "Okafor Okonkwo Owusu Pettway Sesay Tolliver Traoré Tutu Wanjiru Wiggins N'Diaye M'Bala"
        ),
    ),
    NameGroup(
        75,
        _split(
            "Aditi Ananya Anika Asha Diya Farah Isha Kavya Lakshmi Leela Meera Naina Nisha Pooja Priya Riya Saanvi Zoya"
        ),
        _split(
            "Aarav Aditya Amit Arjun Dev Faisal Harsh Ishaan Kabir Karan Krish Manav Nikhil Rohan Sahil "
            "Varun Vikram Zain"
        ),
        _split(
            "Acharya Agarwal Banerjee Bhatt Chandra Chaudhry Das Desai Gill Iyer Jain Joshi Kapoor Krishnan "
            "Mehta Nair Pillai Rana Rao Reddy Saxena Sethi Sharma Subramanian Thakur Venkataraman"
        ),
    ),
    NameGroup(
        80,
        _split(
            "Ai-Lin Bích Chloe Hana Hui Jia Kim-Anh Lan Linh Mai Mei Minh-Châu Ngọc Quỳnh Thảo Thu Xiu Yan Ying Yuna"
        ),
        _split("An Bảo Bo Dae Đức Hao Hiếu Jin Jun Kai Khôi Long Minh Phúc Quang Shen Tao Wei Yong Zhi"),
        _split(
            "Bùi Chang Chen Cheng Đặng Đỗ Fang Gao Ha Hồ Hoàng Huang Kwon Lê Li Lin Ma Ng Nguyễn Ong Phạm "
            "Phan Shin Tan Tran Vương Wu Xu Yoon Zhao"
        ),
    ),
    NameGroup(
        55,
        _split(
            "Amal Aya Dalia Dunya Hala Huda Inaya Jamila Layla Lina Maha Noor Rania Salma Samira Shirin Yasmin Zahra"
        ),
        _split(
            "Ahmad Amir Anas Bilal Farid Hadi Hamza Haroun Ibrahim Jalal Karim Khalid Nabil Omar Rami Samir Tarek Yusuf"
        ),
        _split(
            "Abbas Abdallah Al-Amin Aziz Barakat Darwish El-Sayed Farouk Ghanem Haddad Hakimi Karimi Khoury "
            "Mansour Nasser Qureshi Rahimi Saleh Shaheen Taleb Zaman"
        ),
    ),
    NameGroup(
        45,
        _split(
            "Agnieszka Anya Božena Daria Ewa Ilona Irina Jana Katya Lenka Małgorzata Milena Nadia Oksana "
            "Šárka Tatiana Vesna Zofia"
        ),
        _split(
            "Alexei Andrzej Bogdan Dmitri Emil Filip Goran Ivo Jakub Krzysztof Luka Łukasz Marek Mikhail "
            "Ondřej Pavel Radek Zoran"
        ),
        _split(
            "Adamczyk Bartoš Borisov Černý Dvořák Horvat Ivanenko Jankowski Kovač Kowalczyk Łuczak Marković "
            "Novotný Pavlenko Petrov Sokolov Svoboda Szymański Tomić Vuković Wójcik Zieliński"
        ),
    ),
    NameGroup(
        35,
        _split(
            "Aoife Åsa Brigitte Chloé Éloïse Elodie Freja Gudrún Ingrid Léa Maëlle Niamh Saoirse Sigrid "
            "Siobhán Sólveig Thérèse Zoë"
        ),
        _split(
            "Aksel Anaïs Bjørn Cillian Eoin François Göran Henrik Jérôme Jürgen Loïc Magnus Oisín René Sören "
            "Théo Tadhg Ulrich"
        ),
        _split(
            "Ångström Bergström Brøndum D'Amico D'Angelo Dell'Orto Dubois Fitzpatrick Göransson Groß Lefèvre "
            "MacNeil McAllister Müller O'Brien O'Connell O'Leary Ó_Súilleabháin Østergaard Søndergaard "
            "Þórsdóttir van_den_Berg von_Ahlen Weiß"
        ),
    ),
    NameGroup(
        7,
        _split("ʻAlohilani Keala Leilani Mahina Noelani Sina Winona Tayen Aiyana Mele"),
        _split("Akecheta Hōkū Kainoa Kekoa Makoa Manu Nohea Takoda Tama Tavita"),
        _split("Begay Faleafa Kahananui Kamakaʻala Kealoha Manuelito Sitting_Elk Taʻala Tauiliili Two_Rivers"),
    ),
    NameGroup(
        2,
        _split("結衣 さくら 美咲"),
        _split("蓮 陽翔 大翔"),
        _split("佐藤 鈴木 高橋 渡辺 小林"),
    ),
    NameGroup(
        1,
        _split("서연 지우"),
        _split("민준 도윤"),
        _split("김 이 박"),
    ),
)

SCHOOL_FIRST = _split(
    "Alder Amber Aspen Birch Blue_Heron Bramble Canyon Cedar Cherry Clearwater Copper Cottonwood Crescent "
    "Cypress Eagle East Elm Falcon Fern Fox Granite Hawk Hazel Heritage Hickory High Iron Juniper Kestrel "
    "Lake Larch Laurel Linden Lower Magnolia Maple Meadow Mill Moss North Oak Orchard Osprey Otter Pebble "
    "Pine Prairie Quail Red River Rock Rowan Sage Silver South Spruce Stone Sycamore Thistle Upper Walnut "
    "West Willow Winter"
)
SCHOOL_SECOND = _split(
    "Bend Bluff Bridge Brook Canyon Creek Crossing Dale Field Ford Forest Gap Glen Grove Harbor Heights "
    "Hill Hollow Island Lake Landing Meadows Mesa Park Pass Point Pond Ridge River Run Shore Spring "
    "Station Summit Trail Vale Valley View Woods"
)
DISTRICT_NAMES = _split(
    "Alder_Valley Bramble_Creek Cedar_Hollow Fox_River Granite_Lake Harbor_Bend Juniper_Mesa "
    "Larch_Mountain Maple_Ridge Otter_Bay Prairie_View Quail_Crossing Stone_Harbor Willow_Springs"
)
CITIES = _split(
    "Alderton Brambleford Cedarholm Foxwater Graniteville Larchmont_Falls Mapleton_Ridge Otterbay Quailton Stoneport"
)
BIRTH_COUNTRIES = ("US",) * 22 + ("MX", "CA", "PH", "IN", "VN", "NG", "JP", "UA")
STATES = ("OR", "OR", "OR", "OR", "WA", "CA", "ID", "NV", "TX", "AZ", "CO", "UT")


def fold(name: str) -> str:
    """A name as it stands in an address: ASCII letters and digits, lower case; `x` when nothing is left."""
    known = ROMANISED.get(name)
    if known is not None:
        return known
    plain = unicodedata.normalize("NFKD", name.translate(_BY_HAND)).encode("ascii", "ignore").decode().lower()
    return "".join(c for c in plain if c.isalnum()) or "x"
