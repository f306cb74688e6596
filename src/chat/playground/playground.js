// Keeps a page of the playground live. Without it everything works by plain forms and links; with it nothing reloads:
// the same pages are fetched, and what differs is put in place around the reader's focus, text and open forms.
"use strict";

(() => {
  const HISTORY_MOST = 50;
  const RECONNECT_AFTER_MS = 3000;
  const LET_GO_HIDDEN_AFTER_MS = 30000;
  const COPIED_SHOWN_MS = 2000;
  const MINUTE_MS = 60000;

  const page = document.documentElement;
  const body = document.body;
  const line = document.getElementById("line");
  const byId = (id) => document.getElementById(id);
  page.classList.add("js");

  // Putting a newer page in place.

  /** Something the reader is in the middle of: an open form with text or focus in it, although it is out of date. */
  function isHeld(node) {
    if (!(node instanceof Element)) return false;
    const asks = node.matches("details.ask[open]") ? [node] : [...node.querySelectorAll("details.ask[open]")];
    return asks.some((ask) => ask.contains(document.activeElement) || ask.querySelector("textarea")?.value.trim());
  }

  function morphAttributes(now, next) {
    for (const { name } of [...now.attributes]) {
      const kept = name === "open" && now.localName === "details";
      if (!kept && !next.hasAttribute(name)) now.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      const kept = name === "open" && now.localName === "details";
      if (!kept && now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
  }

  function morph(now, next) {
    if (now.nodeType !== Node.ELEMENT_NODE) {
      if (now.data !== next.data) now.data = next.data;
      return;
    }
    // What is just being sent keeps its name until the answer is there.
    if (now.dataset?.busy) return;
    morphAttributes(now, next);
    if (now.localName !== "textarea") morphChildren(now, next);
  }

  function morphChildren(now, next) {
    const wanted = new Set([...next.children].map((child) => child.id).filter(Boolean));
    for (const child of [...now.children]) {
      if (child.id && !wanted.has(child.id) && !isHeld(child)) child.remove();
    }
    let cursor = now.firstChild;
    for (const fresh of [...next.childNodes]) {
      const own = fresh.id ? [...now.children].find((child) => child.id === fresh.id) : null;
      while (cursor && !own && !fresh.id && !isAlike(cursor, fresh) && isHeld(cursor)) cursor = cursor.nextSibling;
      const match = own ?? (!fresh.id && cursor && isAlike(cursor, fresh) ? cursor : null);
      if (!match) {
        now.insertBefore(document.importNode(fresh, true), cursor);
        continue;
      }
      if (match !== cursor) now.insertBefore(match, cursor);
      morph(match, fresh);
      cursor = match.nextSibling;
    }
    while (cursor) {
      const after = cursor.nextSibling;
      if (!isHeld(cursor)) cursor.remove();
      cursor = after;
    }
  }

  function isAlike(now, next) {
    if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName || now.id) return false;
    return now.nodeType !== Node.ELEMENT_NODE || now.dataset.button === next.dataset.button;
  }

  /** Whether a fetched page was made before the one that is shown; of another run of the server nothing is known. */
  function isOlder(next) {
    const [run, shown] = page.dataset.version.split("-");
    const [nextRun, fetched] = next.documentElement.dataset.version.split("-");
    return run === nextRun && Number(fetched) < Number(shown);
  }

  /** Takes the newer state from a fetched page, and tells what is new. */
  function take(next) {
    if (isOlder(next)) {
      look();
      return;
    }
    const before = new Map([...document.querySelectorAll("[data-summary]")].map((node) => [node.id, node.dataset.summary]));
    const entries = new Set([...document.querySelectorAll("#entries > li")].map((node) => node.id));
    const sameView = body.dataset.view === next.body.dataset.view && byId("access-view").value === next.getElementById("access-view").value;
    const focus = document.activeElement;
    const near = focus?.closest(".message")?.id;

    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = next.getElementById(region.id);
      if (fresh) morph(region, fresh);
    }
    body.dataset.view = next.body.dataset.view;
    page.dataset.version = next.documentElement.dataset.version;
    document.title = next.title;
    tellTimes(document);

    if (focus && !focus.isConnected) (byId(near) ?? line).focus({ preventScroll: true });
    if (!sameView) return;
    const news = [...document.querySelectorAll("[data-summary]")].filter((node) => before.get(node.id) !== node.dataset.summary);
    news.forEach(flash);
    if (entries.size) [...document.querySelectorAll("#entries > li")].filter((node) => !entries.has(node.id)).forEach(flash);
    if (news.length) announce(news.map((node) => node.dataset.summary).join(". "));
  }

  function flash(node) {
    node.classList.add("fresh");
    node.addEventListener("animationend", () => node.classList.remove("fresh"), { once: true });
  }

  function announce(text) {
    // Emptied first, or the same words twice would be no news.
    byId("announce").textContent = "";
    requestAnimationFrame(() => (byId("announce").textContent = text));
  }

  async function fetched(url, options) {
    const response = await fetch(url, { cache: "no-store", headers: { Accept: "text/html" }, ...options });
    // The config has no such person or channel any more: the page that says so leads back.
    if (response.status === 404) location.reload();
    const next = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!next.getElementById("room")) throw new Error(`not a page of the chat (${response.status})`);
    return next;
  }

  // Looking again when told to.

  let looking = false;
  let lookAgain = false;

  async function look() {
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = true;
    do {
      lookAgain = false;
      const from = location.href;
      try {
        const next = await fetched(from);
        if (location.href !== from) lookAgain = true;
        else if (!isOlder(next)) take(next);
        else lookAgain = true;
        connected(events?.readyState === EventSource.OPEN);
      } catch {
        connected(false);
        setTimeout(look, RECONNECT_AFTER_MS);
      }
    } while (lookAgain);
    looking = false;
  }

  let events = null;
  let letGo = 0;

  function connected(is) {
    byId("connection").dataset.state = is ? "on" : "off";
    byId("connection-word").textContent = is ? "Live" : "Reconnecting…";
  }

  function connect() {
    if (events) return;
    const stream = new EventSource(body.dataset.events);
    events = stream;
    stream.addEventListener("open", () => connected(true));
    stream.addEventListener("changed", (event) => {
      if (event.data !== page.dataset.version) look();
    });
    stream.addEventListener("error", () => {
      connected(false);
      if (stream.readyState !== EventSource.CLOSED) return;
      events = null;
      setTimeout(() => {
        connect();
        look();
      }, RECONNECT_AFTER_MS);
    });
  }

  // A browser opens six connections to one host at the most: a page that nobody looks at gives its one back.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(letGo);
    if (document.visibilityState === "visible") connect();
    else
      letGo = setTimeout(() => {
        events?.close();
        events = null;
      }, LET_GO_HIDDEN_AFTER_MS);
  });

  // Sending forms.

  const sent = [];
  let recalled = 0;
  let draft = "";
  let attempted = null;

  function freshMessage() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function showAnswer(nodes) {
    byId("answer").replaceChildren(...nodes);
    tellTimes(byId("answer"));
    byId("answer").querySelectorAll("[data-copy]").forEach((button) => (button.hidden = false));
    const said = [...byId("answer").querySelectorAll("header strong, .lines")].map((node) => node.textContent.trim());
    if (!said.length) return;
    announce(said.join(". "));
    byId("answer").scrollIntoView({ block: "nearest" });
  }

  async function send(form, button) {
    if (form.dataset.busy) return;
    const isLine = form.id === "access-form";
    // What never got an answer is sent again under its own name, unless the words are other words.
    if (isLine && attempted !== null && attempted !== line.value) byId("message").value = freshMessage();
    const text = isLine ? line.value : "";
    if (isLine) attempted = text;
    const data = new URLSearchParams(new FormData(form, button));
    const from = location.href;
    form.dataset.busy = "true";
    button?.setAttribute("aria-busy", "true");
    try {
      const next = await fetched(form.action, { method: "POST", body: data });
      delete form.dataset.busy;
      const answer = next.querySelector("#answer > .answer");
      const keep = answer?.dataset.keep === "true";
      if (isLine) answered(text, keep, next);
      else if (!keep) form.closest("details.ask")?.removeAttribute("open");
      if (!keep) form.querySelectorAll("textarea").forEach((area) => (area.value = ""));
      // The reader may have gone elsewhere while the answer was under way.
      if (location.href === from) take(next);
      else look();
      if (isLine && !keep) byId("messages").scrollTop = 0;
      if (answer) showAnswer([document.importNode(answer, true)]);
      if (form.id === "verify-form") verified(next);
    } catch {
      showAnswer([byId("no-answer").content.cloneNode(true)]);
    } finally {
      delete form.dataset.busy;
      button?.removeAttribute("aria-busy");
    }
  }

  function answered(text, keep, next) {
    attempted = null;
    if (text.trim() && sent.at(-1) !== text) sent.push(text);
    if (sent.length > HISTORY_MOST) sent.shift();
    recalled = sent.length;
    byId("message").value = next.getElementById("message").value;
    // What was typed while the answer was under way stays.
    if (!keep && line.value === text) line.value = "";
  }

  function verified(next) {
    const result = next.querySelector("#verified > .verified");
    if (!result) return;
    byId("verified").replaceChildren(document.importNode(result, true));
    byId("verified").scrollIntoView({ block: "nearest" });
    announce(result.textContent.trim().replace(/\s+/g, " "));
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-send]")) return;
    event.preventDefault();
    send(event.target, event.submitter);
  });

  // A form that is opened by hand is there to be written in.
  document.addEventListener(
    "toggle",
    (event) => {
      const ask = event.target;
      if (ask.matches("details.ask[open]") && ask.firstElementChild === document.activeElement) ask.querySelector("textarea").focus();
    },
    true,
  );

  // The input: history by arrow keys, Escape clears the answer, a slash from anywhere leads here.

  line.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && sent.length) {
      const place = Math.min(Math.max(recalled + step, 0), sent.length);
      if (place !== recalled) {
        if (recalled === sent.length) draft = line.value;
        recalled = place;
        line.value = sent[place] ?? draft;
      }
      event.preventDefault();
    } else if (event.key === "Escape") {
      showAnswer([]);
    }
  });

  document.addEventListener("keydown", (event) => {
    const ask = event.key === "Escape" ? event.target.closest("details.ask[open]") : null;
    if (!ask) return;
    ask.open = false;
    ask.firstElementChild.focus();
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    line.focus();
  });

  // Links that need no reload.

  async function go(url, push) {
    try {
      const next = await fetched(url);
      if (push) history.pushState(null, "", url);
      take(next);
      byId("messages").scrollTop = 0;
      openEntry();
    } catch {
      location.assign(url);
    }
  }

  /** Opens the ledger entry that the address names, or the given one. Says whether it could be shown. */
  function openEntry(id = location.hash.slice(1)) {
    const entry = id.startsWith("entry-") ? byId(id) : null;
    if (!entry || !entry.getClientRects().length) return false;
    const details = entry.querySelector("details");
    details.open = true;
    details.querySelector("summary").focus({ preventScroll: true });
    entry.scrollIntoView({ block: "nearest" });
    return true;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.matches("[data-dismiss]")) {
      event.preventDefault();
      showAnswer([]);
      line.focus();
    } else if (link.matches("[data-draft]")) {
      event.preventDefault();
      line.value = link.dataset.draft;
      line.focus();
    } else if (link.matches("[data-entry]")) {
      event.preventDefault();
      if (!openEntry(`entry-${link.dataset.entry}`)) go(link.href, true);
    } else if (link.matches("[data-go]")) {
      event.preventDefault();
      go(link.href, true);
    }
  });

  window.addEventListener("popstate", () => go(location.href, false));

  // A credential: copied by a button, gone with the page.

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const shown = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(shown.textContent);
      button.textContent = "Copied";
      announce("Copied");
    } catch {
      getSelection().selectAllChildren(shown);
      button.textContent = "Selected";
      announce("Selected: copy it with the keyboard");
    }
    setTimeout(() => (button.textContent = "Copy"), COPIED_SHOWN_MS);
  });

  window.addEventListener("pageshow", (event) => {
    if (event.persisted) look();
  });
  window.addEventListener("pagehide", () => byId("secret")?.closest(".answer").remove());

  // Moments, in the reader's own clock.

  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const second = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  function distance(ms) {
    const seconds = Math.round(Math.abs(ms) / 1000);
    const minutes = Math.round(seconds / 60);
    if (seconds < 60) return `${seconds} s`;
    if (minutes < 10 && ms > 0) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
    if (minutes < 60) return `${minutes} min`;
    return minutes < 1440 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.round(minutes / 1440)} d`;
  }

  /** Writes the moments below `root`; those in a headline or an answer say how far away they are too. */
  function tellTimes(root) {
    const now = Date.now();
    for (const node of root.querySelectorAll("time")) {
      const at = new Date(node.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const ms = at - now;
      let text = (node.matches(".seconds") ? second : clock).format(at);
      if (at.toDateString() !== new Date(now).toDateString()) text = `${day.format(at)} ${text}`;
      if (node.closest(".headline, .lines")) text += ms > 0 ? ` (in ${distance(ms)})` : ms > -MINUTE_MS ? " (now)" : ` (${distance(ms)} ago)`;
      if (node.textContent !== text) node.textContent = text;
      if (!node.title) node.title = full.format(at);
    }
  }

  tellTimes(document);
  setInterval(() => tellTimes(document), 1000);
  byId("answer").querySelectorAll("[data-copy]").forEach((button) => (button.hidden = false));
  openEntry();
  connect();
})();
