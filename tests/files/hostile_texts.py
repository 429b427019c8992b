"""Hostile text files: encodings, CSV, JSON and the fine-tuning formats."""

import json
from collections.abc import Iterator

MEGABYTE = 1024**2
HEADER = "id,text,label\n"
PLAIN = HEADER + "".join(f"{n},text number {n},{'yes' if n % 2 else 'no'}\n" for n in range(1, 21))
GERMAN = HEADER + "1,Schöne Grüße aus Köln,gut\n2,Das war ärgerlich – müde Gäste,schlecht\n" * 5
JAPANESE = HEADER + "1,この商品はとても良かったです,肯定\n2,配送が遅くて壊れていました,否定\n" * 5
CHINESE = HEADER + "1,这个产品非常好我很喜欢,正面\n2,快递太慢了包装也坏了,负面\n" * 5

Made = tuple[str, bytes, str]  # name, content, what is wrong


def empty() -> Iterator[Made]:
    yield "empty.csv", b"", "empty"
    yield "empty.jsonl", b"", "empty"
    yield "empty.parquet", b"", "empty"
    yield "empty.xlsx", b"", "empty"
    yield "header only.csv", HEADER.encode(), "header only"
    yield "header without line end.csv", HEADER.strip().encode(), "header without a line end"
    yield "spaces.csv", b"   \n \t \n\n   ", "whitespace only"
    yield "line ends.csv", b"\n" * 1000, "nothing but line ends"
    yield "one newline.jsonl", b"\n", "one line end"
    yield "mark only.csv", b"\xef\xbb\xbf", "nothing but a byte order mark"
    yield "mark only 16.csv", b"\xff\xfe", "nothing but a UTF-16 byte order mark"
    yield "one byte.csv", b"x", "one byte"
    yield "no header.csv", b"1,hello there,yes\n2,good bye,no\n", "no header row"
    yield "empty rows.csv", (HEADER + ",,\n" * 50).encode(), "rows of empty cells"
    yield "blank lines between.csv", PLAIN.replace("\n", "\n\n\n").encode(), "blank lines between the rows"


def encodings() -> Iterator[Made]:
    yield "cp1252.csv", GERMAN.encode("cp1252"), "German in cp1252"
    yield "latin-1.csv", GERMAN.replace("–", "-").encode("latin-1"), "German in Latin-1"
    yield "shift_jis.csv", JAPANESE.encode("shift_jis"), "Japanese in Shift-JIS"
    yield "cp932.csv", JAPANESE.replace("商品", "①㈱髙").encode("cp932"), "Windows letters in Shift-JIS"
    yield "gb18030.csv", CHINESE.encode("gb18030"), "Chinese in GB18030"
    yield "utf-16.csv", GERMAN.encode("utf-16"), "UTF-16 with a byte order mark"
    yield "utf-16-be.csv", b"\xfe\xff" + JAPANESE.encode("utf-16-be"), "big-endian UTF-16"
    yield "utf-16 without mark.csv", GERMAN.encode("utf-16-le"), "UTF-16 without a byte order mark"
    yield "utf-16-be without mark.csv", GERMAN.encode("utf-16-be"), "big-endian UTF-16 without a mark"
    yield "utf-16 odd.csv", GERMAN.encode("utf-16") + b"x", "UTF-16 with an odd number of bytes"
    yield "utf-32.csv", PLAIN.encode("utf-32"), "UTF-32"
    yield "ebcdic.csv", PLAIN.encode("cp500"), "EBCDIC"
    yield "mixed.csv", PLAIN.encode() * 3 + GERMAN.encode("cp1252"), "UTF-8 first, cp1252 later"
    late = PLAIN.encode() + b"21,fine,yes\n" * 120_000 + "22,Grüße,no\n".encode("cp1252")
    yield "late cp1252.csv", late, "a cp1252 letter after more than a megabyte of ASCII"
    yield "two marks.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + PLAIN.encode(), "two byte order marks"
    yield "mark inside.csv", PLAIN.replace("text number 3", "\ufefftext").encode(), "a mark inside"
    yield "mark of utf-8 then utf-16.csv", b"\xef\xbb\xbf" + PLAIN.encode("utf-16-le"), "two encodings' marks"
    yield "wrong mark.csv", b"\xff\xfe" + PLAIN.encode(), "a UTF-16 mark before ASCII"
    yield "cut letter.csv", (HEADER + "1,caf").encode() + b"\xc3", "ends within a letter"
    yield "overlong.csv", HEADER.encode() + b"1,\xc0\xaf,yes\n", "overlong UTF-8"
    yield "surrogate.csv", HEADER.encode() + b"1,\xed\xa0\x80 lone,yes\n", "a lone surrogate in UTF-8"
    yield (
        "undefined in cp1252.csv",
        HEADER.encode() + b"1,gr\xfc\xdfe \x81 x,yes\n",
        "bytes undefined in cp1252",
    )


def delimited() -> Iterator[Made]:
    yield "ragged.csv", b"id,text,label\n1,a b\n2,c d,yes,extra\n3,e f,no\n4\n", "ragged rows"
    yield "semicolons.csv", PLAIN.replace(",", ";").encode(), "semicolons"
    yield "pipes.txt", PLAIN.replace(",", "|").encode(), "pipes"
    yield "tabs.csv", PLAIN.replace(",", "\t").encode(), "tabs under the name .csv"
    yield "commas.tsv", PLAIN.encode(), "commas under the name .tsv"
    yield "sep line.csv", ("sep=;\n" + PLAIN.replace(",", ";")).encode(), "Excel's sep line"
    yield "only sep line.csv", b"sep=;\n", "nothing but a sep line"
    yield "cr only.csv", PLAIN.replace("\n", "\r").encode(), "CR line ends"
    yield "crlf.csv", PLAIN.replace("\n", "\r\n").encode(), "CRLF line ends"
    yield "mixed ends.csv", PLAIN.replace("\n", "\r\n", 5).replace("9\n", "9\r").encode(), "mixed line ends"
    yield "duplicate columns.csv", b"id,text,text,label\n1,a,b,yes\n", "two columns of one name"
    yield "no names.csv", b",,\n1,a,yes\n", "columns without names"
    yield "empty last name.csv", b"id,text,label,\n1,a,yes,\n", "a last column without a name"
    wide = ",".join(f"c{n}" for n in range(5000))
    yield "wide.csv", (wide + "\n" + "," * 4999 + "\n").encode(), "5,000 columns"
    yield "wide row.csv", (HEADER + "," * 1_000_000 + "\n1,ok,yes\n").encode(), "a row of a million cells"
    yield "nul.csv", (HEADER + "1,a\0b,yes\n2,c,no\n").encode(), "a NUL in a text"
    yield "nuls.csv", b"\0" * 100_000, "nothing but NULs"
    yield "nul tail.csv", PLAIN.encode() + b"\0" * 4096, "NULs at the end, as after a crash"
    yield "ctrl-z.csv", PLAIN.encode() + b"\x1a", "a DOS end-of-file mark"
    yield "vertical tabs.csv", (HEADER + "1,a\x0bb\x0cc\x85d\u2028e,yes\n").encode(), "other line separators"
    yield "one column.csv", b"text\nhello\ngood bye\n", "one column"
    yield "html.csv", b"<!DOCTYPE html><html><body>Sign in</body></html>", "a sign-in page saved as CSV"
    yield "xml.csv", b"<?xml version='1.0'?><rows/>", "XML saved as CSV"


def quotes() -> Iterator[Made]:
    rest = "".join(f"{n},fine {n},yes\n" for n in range(3, 60))
    yield "unclosed.csv", (HEADER + '1,"never closed,yes\n' + rest).encode(), "a quote that is never closed"
    yield "unclosed last.csv", (PLAIN + '21,"open').encode(), "a quote open at the end"
    yield "unclosed header.csv", b'id,"text,label\n1,a,yes\n', "a quote open in the header"
    yield "inner quotes.csv", (HEADER + '1,"she said "hi" twice",yes\n' + rest).encode(), "undoubled quotes"
    yield "stray quotes.csv", (HEADER + 'a",",\n' * 50_000).encode(), "quotes that make parsers start over"
    yield "quotes only.csv", b'"' * 100_001, "nothing but quotes"
    yield (
        "single quotes.csv",
        b"'id','text','label'\n'1','it''s, fine','yes'\n'2','b','no'\n",
        "single quotes",
    )
    yield "line breaks.csv", (HEADER + '1,"a\r\nb\n\nc",yes\n2,"d\re",no\n').encode(), "line breaks in cells"
    yield (
        "raw quotes.tsv",
        b'text\tlabel\n"Hello there\tyes\n"Bye\tno\n5" nail\tyes\n',
        "unquoted quotes in TSV",
    )


def contents() -> Iterator[Made]:
    texts = {
        "script": "<script>alert(1)</script>",
        "image": "<img src=x onerror=alert(1)>",
        "template": "{{ 7*7 }} {% raw %} ${7*7} <%= 1 %>",
        "sql": "'; DROP TABLE examples; --",
        "formula": "=cmd|' /C calc'!A0",
        "formula at": "@SUM(1+1)*cmd|' /C calc'!A0",
        "rtl": "abc \u202etxt.exe\u202c def",
        "zero width": "\u200b\u200c\u200d\u2060\ufeff",
        "zalgo": "a" + "\u0301\u0316\u0489" * 1000,
        "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 50,
        "format": "%s%n%x {0} \\x00 \\u0000",
        "spaces": "\u00a0\u2003\u3000",
        "private use": "\ue000\U0010ffff\ufffe",
        "ansi": "\x1b[31mred\x1b[0m\x07",
    }
    for name, text in texts.items():
        yield (
            f"{name}.csv",
            f'{HEADER}1,"{text}",yes\n2,"{text}","{text}"\n'.encode(),
            f"{name} in texts and labels",
        )
    columns = b'id,<script>alert(1)</script>,"=1+1","a\nb"\n1,x,y,z\n'
    yield "column names.csv", columns, "HTML, formula and line break in column names"
    yield "long text.csv", f"{HEADER}1,{'a' * 200_000},yes\n".encode(), "a text of 200,000 characters"
    yield "long label.csv", f"{HEADER}1,a,{'b' * 5000}\n".encode(), "a label of 5,000 characters"
    yield "long name.csv", f"{'t' * 100_000},label\na,b\n".encode(), "a column name of 100,000 characters"
    yield "splits.csv", b"text,label,split\na,b,train\nc,d,dev\ne,f,TEST\ng,h,\n", "unknown splits"


def classes() -> Iterator[Made]:
    many = "".join(f"{n},text {n},class {n}\n" for n in range(10_000))
    yield "10000 classes.csv", (HEADER + many).encode(), "10,000 classes"
    yield "one class.csv", (HEADER + "".join(f"{n},text {n},a\n" for n in range(100))).encode(), "one class"
    yield (
        "equal texts.csv",
        (HEADER + "".join(f"{n},same,{n % 2}\n" for n in range(500))).encode(),
        "equal texts",
    )
    yield "equal ids.csv", (HEADER + "1,a,yes\n1,b,no\n" * 100).encode(), "repeated ids"
    yield "missing words.csv", (HEADER + "1,NA,null\n2,None,NaN\n3,-,\n").encode(), "words that mean missing"
    yield "spaces in labels.csv", (HEADER + "1,a, yes\n2,b,yes \n3,c,YES\n").encode(), "almost equal labels"


def json_lines() -> Iterator[Made]:
    good = '{"text": "fine", "label": "yes"}\n'
    lines = {
        "broken": '{"text": "a", "label": "b"\n',
        "array lines": '["a", "b"]\n',
        "scalar lines": '1\n"x"\nnull\n',
        "single quotes": "{'text': 'a', 'label': 'b'}\n",
        "trailing comma": '{"text": "a", "label": "b",}\n',
        "nan": '{"text": "a", "label": NaN, "x": Infinity, "y": -Infinity}\n',
        "huge float": '{"text": "a", "label": 1e999}\n',
        "huge integer": '{"text": "a", "label": ' + "9" * 100_000 + "}\n",
        "lone surrogates": '{"text": "\\ud800 x \\udc00", "label": "\\udfff"}\n',
        "nul": '{"text": "a\\u0000b", "label": "\\u0000"}\n',
        "raw control": '{"text": "a\x01b", "label": "c"}\n',
        "duplicate keys": '{"text": "a", "text": "b", "label": "c"}\n',
        "empty key": '{"": "a", "text": "b", "label": "c"}\n',
        "prototype": '{"__proto__": {"x": 1}, "constructor": 1, "text": "a", "label": "b"}\n',
        "nested text": '{"text": {"a": ["b"]}, "label": ["x"]}\n',
        "empty objects": "{}\n" * 100,
        "bad escape": '{"text": "\\x41 \\u12", "label": "b"}\n',
        "line separator": '{"text": "a\u2028b\u0085c", "label": "d"}\n',
        "many keys": json.dumps({f"k{n}": n for n in range(5000)}) + "\n",
        "two objects": '{"text": "a", "label": "b"} {"text": "c", "label": "d"}\n',
        "deep": '{"text": "a", "label": "b", "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n",
        "quite deep": '{"text": "a", "label": "b", "x": ' + "[" * 500 + "]" * 500 + "}\n",
        "deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000 + "\n",
    }
    for name, line in lines.items():
        yield f"{name}.jsonl", (good * 2 + line + good).encode(), f"JSON Lines: {name}"
    yield "not json.jsonl", b"hello\nthere\n", "no JSON at all"
    yield "utf-16.jsonl", (good * 5).encode("utf-16"), "JSON Lines in UTF-16"
    yield "lines.json", (good * 5).encode(), "JSON Lines under the name .json"
    yield "lines.csv", (good * 5).encode(), "JSON Lines under the name .csv"


def json_documents() -> Iterator[Made]:
    row = '{"text": "a", "label": "b"}'
    documents = {
        "empty list": "[]",
        "empty object": "{}",
        "number": "1",
        "word": '"x"',
        "cut": f"[{row}, {row}, ",
        "cut string": f'[{row}, {{"text": "abc',
        "no comma": f"[{row} {row}]",
        "mixed list": f"[{row}, 1, null, [], {row}]",
        "deep list": "[" * 100_000 + "]" * 100_000,
        "no list": '{"a": 1, "b": {"data": []}}',
        "list not rows": '{"data": [1, 2, 3]}',
        "columns": '{"text": {"0": "a"}, "label": {"0": "b"}}',
        "tail": f"[{row}] garbage",
        "python": "[{'text': 'a'}]",
        "colons": '{"data": : [' + row + "]}",
        "keys without end": "{" + '"a": 1, ' * 1000,
    }
    for name, document in documents.items():
        yield f"{name}.json", document.encode(), f"JSON document: {name}"


def fine_tuning() -> Iterator[Made]:
    chats: dict[str, object] = {
        "no assistant": [{"role": "user", "content": "a"}],
        "no user": [{"role": "assistant", "content": "a"}],
        "no messages": [],
        "tools": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{"id": "1"}]}],
        "image": [
            {"role": "user", "content": [{"type": "image_url"}]},
            {"role": "assistant", "content": "b"},
        ],
        "unknown role": [{"role": "root", "content": "a"}, {"role": "assistant", "content": "b"}],
        "role list": [{"role": ["user"], "content": "a"}, {"role": "assistant", "content": "b"}],
        "numbers": [1, 2, 3],
        "null content": [{"role": "user", "content": None}, {"role": "assistant", "content": "b"}],
    }
    for name, messages in chats.items():
        yield (
            f"chat {name}.jsonl",
            (json.dumps({"messages": messages}) + "\n").encode() * 3,
            f"chat with {name}",
        )
    lines = json.dumps({"prompt": ["a"], "completion": 1}) + "\n"
    yield "prompts.jsonl", lines.encode() * 3, "prompts that are lists"


def names() -> Iterator[Made]:
    names = (
        "../../etc/passwd.csv",
        "a\0b.csv",
        "C:\\windows\\x.csv",
        "<b>bold</b>.csv",
        "%s.csv",
        "x" * 300 + ".csv",
    )
    for name in (*names, "con.csv", ".csv", "no ending", "\u202evsc.exe", "a\nb.csv", "-rf.csv", "~/x.csv"):
        yield name, PLAIN.encode(), "a name that is a path, a command or markup"
