"""Receivers that hold what they get against what their makers document, and refuse what is not so.

Each takes the handler and the body and gives a status and an answer.
"""

import base64
import json
import re
import threading
import uuid

from standardwebhooks import Webhook, WebhookVerificationError

RECEIVED = {}
LOCK = threading.Lock()
SECRETS = {
    "whsec": "whsec_" + base64.b64encode(bytes(range(32))).decode(),
    "routing_key": uuid.uuid4().hex,
    "jira_token": "jira-" + uuid.uuid4().hex,
}


def keep(name, what):
    with LOCK:
        RECEIVED.setdefault(name, []).append(what)


def webhook(handler, body):
    """By the specification's own library: the signature, and a timestamp of now."""
    headers = {name.lower(): value for name, value in handler.headers.items()}
    try:
        Webhook(SECRETS["whsec"]).verify(body.decode(), headers)
    except WebhookVerificationError as error:
        return 401, str(error)
    keep("webhook", {"headers": headers, "body": json.loads(body), "bytes": body.decode()})
    return 204, ""


def wrong(checks):
    return [name for name, well in checks.items() if not well]


def pagerduty(handler, body):
    """https://developer.pagerduty.com/docs/send-alert-event: one incident for each key, which only a trigger opens."""
    event = json.loads(body)
    payload = event.get("payload", {})
    action = event.get("event_action")
    text = lambda value, least, most: isinstance(value, str) and least <= len(value) <= most
    known = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
    fields = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
    errors = wrong({
        "Length of 'routing_key' is incorrect (should be 32 characters)": text(event.get("routing_key"), 32, 32),
        "'event_action' is invalid": action in ("trigger", "acknowledge", "resolve"),
        "'dedup_key' is invalid": text(event.get("dedup_key"), 1, 255),
        "'payload.summary' is missing, blank or too long": text(payload.get("summary"), 1, 1024),
        "'payload.source' is missing or blank": text(payload.get("source"), 1, 1024),
        "'payload.severity' is invalid": payload.get("severity") in ("critical", "error", "warning", "info"),
        "'payload.timestamp' is invalid": re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", payload.get("timestamp", "")),
        "'payload.custom_details' is no object": isinstance(payload.get("custom_details"), dict),
        "there are fields that no event has": event.keys() <= known and payload.keys() <= fields,
    })
    if len(body) > 512 * 1024:
        return 413, ""
    if errors:
        return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    if event["routing_key"] != SECRETS["routing_key"]:
        return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": ["Invalid routing key"]}
    key = event["dedup_key"]
    with LOCK:
        incidents = RECEIVED.setdefault("pagerduty", [])
        incident = next((each for each in incidents if each["key"] == key and each["state"] != "resolved"), None)
        if incident is None and action == "trigger":
            incident = {"key": key, "state": "triggered", "events": []}
            incidents.append(incident)
        # What is told of an incident that there is not is taken, and comes to nothing.
        if incident is not None:
            incident["state"] = {"acknowledge": "acknowledged", "resolve": "resolved"}.get(action, incident["state"])
            incident["events"].append({name: value for name, value in event.items() if name != "routing_key"})
    return 202, {"status": "success", "message": "Event processed", "dedup_key": key}


def slack(handler, body):
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, and the reference of blocks."""
    if not handler.path.endswith("/T00000000/B00000000/tokentokentoken"):
        return 404, "no_service"
    message = json.loads(body)
    if not message.get("text"):
        return 400, "no_text"
    blocks = message.get("blocks", [])
    if len(blocks) > 50 or not all(map(good_block, blocks)):
        return 400, "invalid_blocks"
    # A `<` that is none of ours begins a mention or a link.
    texts = [message["text"]] + [each["text"] for each in mrkdwn(blocks)]
    if any(re.search(r"<|>|&(?!amp;|lt;|gt;)", text) for text in texts):
        return 400, "unescaped"
    keep("slack", message)
    return 200, "ok"


def good_block(block):
    text = lambda part, kinds, most: part.get("type") in kinds and 1 <= len(part.get("text", "")) <= most
    both = ("plain_text", "mrkdwn")
    match block["type"]:
        case "header":
            return text(block["text"], ("plain_text",), 150)
        case "section":
            return text(block["text"], both, 3000)
        case "context":
            return 1 <= len(block["elements"]) <= 10 and all(text(each, both, 3000) for each in block["elements"])
    return False


def mrkdwn(blocks):
    parts = [each for block in blocks for each in block.get("elements", [block.get("text")])]
    return [part for part in parts if part["type"] == "mrkdwn"]


def teams(handler, body):
    """https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using"""
    if len(body) > 28 * 1024:
        return 413, "Message size is too large"
    message = json.loads(body)
    attachment, = message["attachments"]
    card = attachment["content"]
    kinds = {"TextBlock", "RichTextBlock", "FactSet"}
    errors = wrong({
        "message": message["type"] == "message",
        "contentType": attachment["contentType"] == "application/vnd.microsoft.card.adaptive",
        "card": card["type"] == "AdaptiveCard" and card["version"] in ("1.0", "1.1", "1.2", "1.3", "1.4"),
        "body": card["body"] and all(each["type"] in kinds for each in card["body"]),
        "inlines": all(each.get("inlines", True) for each in card["body"]),
    })
    if errors:
        return 400, ", ".join(errors)
    keep("teams", message)
    return 202, ""


def jira(flavour):
    """The few calls of https://developer.atlassian.com/cloud/jira/platform/rest/v2/ and of Data Center's API.

    A test's project is its own: the key's issues are kept apart.
    """
    issues = RECEIVED.setdefault(flavour, [])
    cloud = flavour == "jira-cloud"
    searching = "/rest/api/2/search/jql" if cloud else "/rest/api/2/search"

    def answer(handler, body):
        path = handler.path.removeprefix("/" + flavour)
        given = handler.headers.get("authorization")
        basic = base64.b64encode(f"bot@acme.example:{SECRETS['jira_token']}".encode()).decode()
        if given != (f"Basic {basic}" if cloud else f"Bearer {SECRETS['jira_token']}"):
            return 401, {"errorMessages": [f"You do not have the permission, {given}"], "errors": {}}
        asked = json.loads(body)
        if path == searching:
            return search(asked)
        if path == "/rest/api/2/search":
            return 410, {"errorMessages": ["The requested API has been removed."]}
        if path == "/rest/api/2/issue":
            return create(asked)
        commented = re.fullmatch(r"/rest/api/2/issue/([A-Z]+-\d+)/comment", path)
        if commented:
            return comment(commented[1], asked)
        return 404, {"errorMessages": ["dead link"]}

    def search(asked):
        found = re.fullmatch(r'project = "([A-Z]+)" AND labels = "([^"\s]+)" ORDER BY created ASC', asked["jql"])
        if not found:
            return 400, {"errorMessages": ["Error in the JQL Query"], "errors": {}}
        project, label = found.groups()
        matching = [each for each in issues if each["key"].startswith(project + "-") and label in each["fields"]["labels"]]
        # Cloud gives nothing but ids where no fields are asked for.
        shown = [{"key": each["key"], "fields": {name: each["fields"][name] for name in asked["fields"]}} for each in matching]
        return 200, {"issues": shown[: asked["maxResults"]]}

    def create(asked):
        fields = asked["fields"]
        errors = {}
        if not re.fullmatch("[A-Z]+", fields.get("project", {}).get("key", "")):
            errors["project"] = "Specify a valid project ID or key"
        if fields.get("issuetype") != {"name": "Task"}:
            errors["issuetype"] = "Specify an issue type"
        summary = fields.get("summary", "")
        if not summary or len(summary) > 255 or "\n" in summary:
            errors["summary"] = "Summary must be less than 255 characters."
        if len(fields.get("description", "")) > 32767:
            errors["description"] = "The entered text is too long."
        if any(" " in label for label in fields.get("labels", [])):
            errors["labels"] = "The label can't contain spaces."
        if fields.get("priority") != {"name": "High"}:
            errors["priority"] = "Priority is required."
        if errors:
            return 400, {"errorMessages": [], "errors": errors}
        with LOCK:
            number = 1 + sum(each["key"].startswith(fields["project"]["key"] + "-") for each in issues)
            key = f"{fields['project']['key']}-{number}"
            issues.append({"key": key, "fields": fields, "comments": []})
        return 201, {"id": str(10000 + number), "key": key, "self": "https://jira.example/" + key}

    def comment(key, asked):
        with LOCK:
            issue = next((each for each in issues if each["key"] == key), None)
            if issue is None:
                return 404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]}
            if not asked.get("body") or len(asked["body"]) > 32767:
                return 400, {"errorMessages": ["Comment body can not be empty!"]}
            issue["comments"].append(asked["body"])
        return 201, {"id": str(len(issue["comments"]))}

    return answer


SERVICES = {
    "webhook": webhook,
    "pagerduty": pagerduty,
    "slack": slack,
    "teams": teams,
    "jira-cloud": jira("jira-cloud"),
    "jira-server": jira("jira-server"),
}
