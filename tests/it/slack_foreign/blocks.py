"""Holds messages and views against two validators that nobody here wrote: blockkit and slack_sdk.

Reads {"messages": {name: {text, blocks}}, "views": {name: view}} from standard input; prints what is wrong, a line each.
"""

import json
import sys

import blockkit
from blockkit import core
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

CLASSES = {
    "plain_text": core.Text,
    "mrkdwn": core.Text,
    "header": core.Header,
    "section": core.Section,
    "context": core.Context,
    "actions": core.Actions,
    "input": core.Input,
    "rich_text": core.RichText,
    "rich_text_section": core.RichTextSection,
    "rich_text_list": core.RichTextList,
    "rich_text_preformatted": core.RichTextPreformatted,
    "text": core.RichTextEl,
    "user": core.RichUserEl,
    "date": core.RichDateEl,
    "button": core.Button,
    "static_select": core.StaticSelect,
    "external_select": core.ExternalSelect,
    "plain_text_input": core.PlainTextInput,
    "modal": core.Modal,
    "home": core.Home,
}


def made(value, name=""):
    """A tree of JSON as blockkit's own components."""
    if isinstance(value, list):
        return [made(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    if "type" in value:
        component = CLASSES[value["type"]]()
    elif name == "confirm":
        component = core.Confirm()
    elif name in ("options", "option", "initial_option"):
        component = core.Option()
    elif name == "style":
        component = core.RichStyle()
    else:
        raise ValueError(f"what is {name} {value}?")
    for key, inner in value.items():
        if key == "type":
            continue
        if key == "min_query_length" and inner == 0:
            # Slack takes 0, and shows options before anything is typed; blockkit alone does not know it.
            inner = 1
        setter = getattr(component, key)
        inner = made(inner, key)
        if isinstance(inner, list):
            setter(*inner)
        else:
            setter(inner)
    # Its own guess at what the text is comes with the text.
    if isinstance(component, core.Text):
        component.type(value["type"])
    return component


def same(built, given):
    """Whether nothing was lost or changed on the way."""
    known = json.loads(json.dumps(given).replace('"min_query_length": 0', '"min_query_length": 1'))
    built = json.loads(json.dumps(built))
    # blockkit makes up one for a view that has none.
    if "private_metadata" not in known and built.get("private_metadata") == "null":
        del built["private_metadata"]
    return built == known


def main():
    given = json.load(sys.stdin)
    wrong, seen = [], 0
    for name, message in given["messages"].items():
        for n, block in enumerate(message["blocks"]):
            seen += 1
            try:
                built = made(block).build()
                if not same(built, block):
                    wrong.append(f"blockkit: {name}[{n}]: it makes {json.dumps(built)} of {json.dumps(block)}")
            except Exception as error:
                wrong.append(f"blockkit: {name}[{n}]: {error!r} in {json.dumps(block)[:300]}")
        try:
            parsed = Block.parse_all(message["blocks"])
            if len(parsed) != len(message["blocks"]) or any(type(block) is Block for block in parsed):
                wrong.append(f"slack_sdk: {name}: a block that it does not know")
            for block in parsed:
                block.validate_json()
                block.to_dict()
        except Exception as error:
            wrong.append(f"slack_sdk: {name}: {error!r}")
    for name, view in given["views"].items():
        seen += 1
        try:
            built = made(view).build()
            if not same(built, view):
                wrong.append(f"blockkit: {name}: it makes {json.dumps(built)} of {json.dumps(view)}")
        except Exception as error:
            wrong.append(f"blockkit: {name}: {error!r}")
        try:
            parsed = View(**view)
            parsed.validate_json()
            for block in parsed.blocks:
                block.validate_json()
            parsed.to_dict()
        except Exception as error:
            wrong.append(f"slack_sdk: {name}: {error!r}")
    print(json.dumps({"seen": seen, "wrong": wrong}))


main()
