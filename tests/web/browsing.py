"""A browser without a screen: reads the HTML it gets, fills the form that is in it, presses its buttons."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from starlette.testclient import TestClient

Pairs = list[tuple[str, str]]


@dataclass
class Button:
    """A button that would send a form."""

    name: str
    value: str
    text: str
    is_disabled: bool
    attributes: dict[str, str]


@dataclass
class Form:
    """A form and what it would send."""

    attributes: dict[str, str]
    fields: Pairs = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)
    attached: tuple[str, bytes] = ("", b"")
    attachments: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    @property
    def action(self) -> str:
        return self.attributes.get("action", "")

    @property
    def method(self) -> str:
        return self.attributes.get("method", "get")

    def button(self, wanted: str) -> Button:
        """Return the enabled button with this text or value."""
        for button in self.buttons:
            if wanted in {button.value, button.attributes.get("data-key")} or wanted in button.text:
                assert not button.is_disabled, f"the button {wanted} is disabled"
                return button
        raise AssertionError(f"no button {wanted!r} among {[button.text for button in self.buttons]}")

    def filled(self, values: dict[str, str | list[str] | None]) -> Pairs:
        """Return the fields with some replaced; None leaves one out, an unknown name is a mistake."""
        names = {name for name, _ in self.fields} | set(self.attributes.get("unchecked", "").split())
        assert values.keys() <= names, f"no field {values.keys() - names} among {names}"
        kept = [(name, value) for name, value in self.fields if name not in values]
        for name, value in values.items():
            several = value if isinstance(value, list) else [] if value is None else [value]
            kept += [(name, one) for one in several]
        return kept


@dataclass
class _Reader(HTMLParser):
    forms: dict[str, Form] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self.select: tuple[str, list[tuple[str, bool]]] | None = None
        self.in_disabled = 0
        self.button: Button | None = None
        self.area = ""
        self.link = ""
        self.option_without_value = False
        self.elsewhere: list[tuple[str, Button]] = []

    def updatepos(self, _i: int, j: int) -> int:
        """Count no lines: nobody asks where something stands, and counting takes an eighth of the time."""
        return j

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        handler = getattr(self, f"_start_{tag}", None)
        if handler is not None:
            handler(found)

    def handle_endtag(self, tag: str) -> None:
        handler = getattr(self, f"_end_{tag}", None)
        if handler is not None:
            handler()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.button is not None:
            self.button.text = " ".join(f"{self.button.text} {data}".split())
        if self.area and self.form is not None:
            name, value = self.form.fields.pop()
            self.form.fields.append((name, value + data))
        if self.link and data.strip():
            self.links.setdefault(data.strip(), self.link)
        if self.option_without_value and self.select and data.strip():
            name, options = self.select
            options[-1] = (data.strip(), options[-1][1])
            self.option_without_value = False

    def _start_form(self, found: dict[str, str]) -> None:
        self.form = Form(found)
        self.forms[found.get("id", f"#{len(self.forms)}")] = self.form

    def _end_form(self) -> None:
        self.form = None

    def _start_fieldset(self, found: dict[str, str]) -> None:
        self.in_disabled += "disabled" in found

    def _end_fieldset(self) -> None:
        self.in_disabled = 0

    def _start_a(self, found: dict[str, str]) -> None:
        self.link = found.get("href", "")

    def _end_a(self) -> None:
        self.link = ""

    def _start_input(self, found: dict[str, str]) -> None:
        name, kind = found.get("name", ""), found.get("type", "text")
        if self.form is None or not name:
            return
        if kind == "file":
            self.form.files.append(name)
        elif kind in {"checkbox", "radio"} and "checked" not in found:
            known = self.form.attributes.get("unchecked", "")
            self.form.attributes["unchecked"] = f"{known} {name}"
        else:
            self.form.fields.append((name, found.get("value", "on" if kind == "checkbox" else "")))

    def _start_textarea(self, found: dict[str, str]) -> None:
        if self.form is not None:
            self.form.fields.append((found.get("name", ""), ""))
            self.area = found.get("name", "")

    def _end_textarea(self) -> None:
        self.area = ""

    def _start_select(self, found: dict[str, str]) -> None:
        self.select = (found.get("name", ""), [])

    def _start_option(self, found: dict[str, str]) -> None:
        if self.select is not None:
            self.option_without_value = "value" not in found
            self.select[1].append((found.get("value", ""), "selected" in found))

    def _end_select(self) -> None:
        if self.select is not None and self.form is not None and self.select[1]:
            name, options = self.select
            chosen = next((value for value, is_selected in options if is_selected), options[0][0])
            self.form.fields.append((name, chosen))
        self.select = None

    def _start_button(self, found: dict[str, str]) -> None:
        is_disabled = "disabled" in found or self.in_disabled > 0
        self.button = Button(found.get("name", ""), found.get("value", ""), "", is_disabled, found)
        if "form" in found:
            self.elsewhere.append((found["form"], self.button))
        elif self.form is not None and found.get("type") != "button":
            self.form.buttons.append(self.button)

    def close(self) -> None:
        super().close()
        for form_id, button in self.elsewhere:
            self.forms[form_id].buttons.append(button)

    def _end_button(self) -> None:
        self.button = None


@dataclass
class Page:
    """What came back."""

    status: int
    url: str
    html: str
    headers: dict[str, str]

    @cached_property
    def read(self) -> _Reader:
        """What is in it; reading takes as long as making the page, and many tests need not."""
        reader = _Reader()
        if "html" in self.headers.get("content-type", ""):
            reader.feed(self.html)
            reader.close()
        return reader

    @property
    def text(self) -> str:
        """What a person reads, with single spaces."""
        return " ".join(" ".join(self.read.texts).split())

    @property
    def ids(self) -> list[str]:
        return self.read.ids

    @property
    def links(self) -> dict[str, str]:
        return self.read.links

    def form(self, action: str) -> Form:
        """Return the one form whose address ends in this path, whatever its query."""
        found = [form for form in self.read.forms.values() if urlsplit(form.action).path.endswith(action)]
        assert found, f"no form to {action} among {[form.action for form in self.read.forms.values()]}"
        return found[0]

    def elements(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.read.elements if name == tag]


class Browser:
    """Opens pages and submits their forms; with `scripts` as htmx does, else as a browser without them."""

    def __init__(self, client: TestClient, *, scripts: bool = False) -> None:
        self.client = client
        self.scripts = scripts
        self.here = "/"

    def open(self, path: str, *, into: str = "") -> Page:
        """Follow a link; `into` is the element that htmx would replace."""
        headers = self._htmx(into) if into else {}
        answer = self.client.get(path, headers=headers)
        if not into:
            self.here = path
        return self._page(answer)

    def submit(self, form: Form, press: str = "", **values: str | list[str] | None) -> Page:
        """Fill a form and press one of its buttons (the first enabled one unless told which)."""
        button = form.button(press) if press else next(one for one in form.buttons if not one.is_disabled)
        pairs = form.filled(values)
        if button.name:
            pairs.append((button.name, button.value))
        method = button.attributes.get("formmethod", form.method)
        action = button.attributes.get("formaction", form.action)
        if method == "get":
            path = f"{urlsplit(action).path}?{urlencode(pairs)}"
            return self.open(
                path, into=form.attributes.get("hx-target", "").strip("#") if self.scripts else ""
            )
        return self._post(form, action, pairs)

    def _post(self, form: Form, action: str, pairs: Pairs) -> Page:
        headers = {"Origin": str(self.client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        if self.scripts:
            assert form.attributes.get("hx-post") == form.action
            headers |= self._htmx(form.attributes.get("hx-target", "").strip("#"))
        if form.attributes.get("enctype") == "multipart/form-data":
            sent: dict[str, Any] = {name: (None, value.encode()) for name, value in pairs}
            assert form.attachments.keys() <= set(form.files)
            parts = {form.files[0]: form.attached, **form.attachments, **sent}
            return self._page(self.client.post(action, files=parts, headers=headers))
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self._page(self.client.post(action, content=urlencode(pairs), headers=headers))

    def _htmx(self, into: str) -> dict[str, str]:
        here = f"{str(self.client.base_url).rstrip('/')}{self.here}"
        return {"HX-Request": "true", "HX-Target": into, "HX-Current-URL": here}

    @staticmethod
    def _page(answer: Any) -> Page:
        page = Page(answer.status_code, answer.url.raw_path.decode(), answer.text, dict(answer.headers))
        if ' form="' in page.html:  # reading fails where a button belongs to a form that is not there
            assert page.read
        return page
