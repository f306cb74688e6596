"""An app on Slack's own library that lives a session, by which a stand-in for Slack shows that it is one.

Says what it has seen, a line each; ends when it is told to.
"""

import os
import sys
import threading
import time

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

client = WebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"] + "/")
client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
app = App(client=client)
over = threading.Event()


def say(*words):
    print(*words, flush=True)


def plain(text):
    return {"type": "plain_text", "text": text}


def button(action, value):
    return {"type": "button", "action_id": action, "value": value, "text": plain(action), "accessibility_label": action}


CARD = [{"type": "section", "text": plain("a card")}, {"type": "actions", "elements": [button("approve", "17")]}]


@app.command("/access")
def command(ack, body, respond, client):
    words = body["text"]
    if words == "form":
        ack()
        view = client.views_open(trigger_id=body["trigger_id"], view=loading())["view"]
        client.views_update(view_id=view["id"], hash=view["hash"], view=form())
        say("form opened")
        try:
            client.views_open(trigger_id=body["trigger_id"], view=loading())
        except SlackApiError as error:
            say("again:", error.response["error"])
        return
    if words == "late":
        time.sleep(3.3)
        ack()
        try:
            client.views_open(trigger_id=body["trigger_id"], view=loading())
        except SlackApiError as error:
            say("late:", error.response["error"])
        return
    if words == "card":
        ack(response_type="ephemeral", text="here it comes", blocks=[{"type": "section", "text": plain("here it comes")}])
        posted = client.chat_postMessage(
            channel=body["channel_id"], text="a card", blocks=CARD,
            metadata={"event_type": "card", "event_payload": {"request": "17"}},
        )
        client.chat_postMessage(channel=body["channel_id"], thread_ts=posted["ts"], text="below it", blocks=CARD[:1])
        client.chat_postMessage(channel=body["channel_id"], thread_ts=posted["ts"], text="and again", blocks=CARD[:1])
        say("card posted")
        direct = client.conversations_open(users=body["user_id"])["channel"]["id"]
        client.chat_postMessage(channel=direct, text="to you alone", blocks=CARD[:1])
        for problem in ([{"type": "header", "text": plain("x" * 151)}], [{"type": "nothing"}]):
            try:
                client.chat_postMessage(channel=body["channel_id"], text="wrong", blocks=problem)
            except SlackApiError as error:
                say("refused:", error.response["error"])
        try:
            client.conversations_history(channel=body["channel_id"])
        except SlackApiError as error:
            say("history:", error.response["error"])
        return
    ack()
    respond(response_type="ephemeral", text="heard " + words, blocks=[{"type": "section", "text": plain("heard " + words)}])


def loading():
    return {
        "type": "modal", "callback_id": "loading", "title": plain("Wait"), "close": plain("Close"),
        "blocks": [{"type": "section", "text": plain("One moment")}],
    }


def form():
    select = {"type": "external_select", "action_id": "resource", "min_query_length": 0}
    words = {"type": "plain_text_input", "action_id": "words"}
    return {
        "type": "modal", "callback_id": "form", "title": plain("Ask"), "close": plain("Close"), "submit": plain("Send"),
        "blocks": [
            {"type": "input", "block_id": "resource", "label": plain("What"), "element": select, "dispatch_action": True},
            {"type": "input", "block_id": "words", "label": plain("Why"), "element": words},
        ],
    }


@app.options("resource")
def options(ack, payload):
    ack(options=[{"text": plain(payload["value"] + n), "value": payload["value"] + n} for n in "ab"])


@app.action("resource")
def chosen(ack, action):
    ack()
    say("chosen", action["selected_option"]["value"])


@app.view("form")
def sent(ack, view, body):
    words = view["state"]["values"]["words"]["words"]["value"]
    if words == "wrong":
        ack(response_action="errors", errors={"words": "say it better"})
        return
    done = loading()
    done["callback_id"] = "done"
    ack(response_action="update", view=done)
    say("sent", words, "by", body["user"]["id"])


@app.action("approve")
def approve(ack, body, client, respond):
    ack()
    client.chat_update(
        channel=body["channel"]["id"], ts=body["message"]["ts"], text="approved",
        blocks=[{"type": "section", "text": plain("approved " + body["actions"][0]["value"])}],
    )
    client.chat_postEphemeral(channel=body["channel"]["id"], user=body["user"]["id"], text="thanks", blocks=CARD[:1])
    say("approved", body["actions"][0]["value"])


@app.event("app_home_opened")
def home(event, client):
    client.views_publish(user_id=event["user"], view={"type": "home", "blocks": CARD[:1]})
    say("home", event["user"])


@app.event("message")
def message(event):
    inner = event.get("message") or event.get("previous_message") or event
    say("message", event.get("subtype", "said"), inner["user"], inner["text"], "below", inner["thread_ts"])


handler = SocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
handler.connect()
say("connected as", client.auth_test()["user_id"])
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
over.wait()
handler.close()
say("over")
