// Keys, a look at whether the inbox changed, and answers as they are worded. Everything works without it.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const PULSE_MS = 10000, QUIET_MS = 20000;
  let touched = Date.now();
  for (const kind of ["pointerdown", "pointermove", "keydown", "scroll"]) addEventListener(kind, () => { touched = Date.now(); }, { passive: true });

  // The marked card. Nothing is marked at first, and nothing once the marked one is gone.
  const cards = () => $$("[data-card]");
  const marked = () => $("[data-card][data-selected]");
  function mark(card, focus = true) {
    for (const other of cards()) other.removeAttribute("data-selected");
    if (!card) return;
    card.setAttribute("data-selected", "");
    if (focus) { card.focus({ preventScroll: true }); card.scrollIntoView({ block: "nearest" }); }
  }
  function move(step) {
    const all = cards(), at = all.indexOf(marked());
    if (all.length) mark(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))]);
  }

  const typing = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || "");
  const open = () => $$(".answers details[open]");

  function answer(key) {
    const card = marked();
    if (!card) { move(1); return; }  // the first key only marks
    const there = $(`[data-key="${key}"]`, card);
    if (!there) return;
    if (there.tagName === "DETAILS") {
      there.open = true;
      $("textarea, select, input:not([type=hidden])", there)?.focus();
    } else {
      remember(card);
      there.click();
    }
  }

  // After an answer the next one is marked on the page that follows, and only that one.
  function remember(card) {
    const all = cards(), at = all.indexOf(card);
    try { sessionStorage.setItem("aegis-next", all[at + 1]?.id || all[at - 1]?.id || ""); } catch { /* none */ }
  }
  function recall() {
    let id = "";
    try { id = sessionStorage.getItem("aegis-next") || ""; sessionStorage.removeItem("aegis-next"); } catch { /* none */ }
    const next = id && document.getElementById(id);
    if (next && next.matches("[data-card]") && document.body.dataset.inbox) mark(next);
  }

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
    if (event.key === "Escape") {
      for (const one of open()) one.open = false;
      document.activeElement?.blur();
      marked()?.focus({ preventScroll: true });
      return;
    }
    if (typing()) return;
    const does = {
      j: () => move(1), k: () => move(-1), a: () => answer("a"), d: () => answer("d"), e: () => answer("e"), q: () => answer("q"),
      o: () => { const link = marked() && $("[data-open]", marked()); link ? link.click() : move(1); },
      r: () => refresh(), g: () => location.assign("/"), "?": () => location.assign("/help"),
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });
  addEventListener("submit", (event) => {
    const card = event.target.closest("[data-card]");
    if (card) remember(card);
    if (event.target.matches("[data-ask]")) { event.preventDefault(); ask(event.target); return; }
    if (event.defaultPrevented) return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }  // twice is once
    event.target.dataset.sent = "1";
    setTimeout(() => delete event.target.dataset.sent, 5000);
  });
  addEventListener("click", (event) => { if (event.target.closest("[data-refresh]")) refresh(); });
  addEventListener("focusin", (event) => { const card = event.target.closest?.("[data-card]"); if (card) mark(card, false); });

  // The inbox never moves under a hand: while somebody is at it, it says that it changed.
  async function refresh(how = "1") {
    const list = $("#list");
    if (!list) return;
    const held = marked()?.id;
    const reply = await fetch(location.pathname + location.search, { headers: { "X-Aegis-Part": how }, redirect: "error" }).catch(() => null);
    if (!reply) return say("The server does not answer.");
    if (reply.status === 401) return say("Your session has ended.");
    if (!reply.ok) return say(`The list can't be had (${reply.status}).`);
    list.replaceChildren(...new DOMParser().parseFromString(await reply.text(), "text/html").body.childNodes);
    const head = $("[data-state]", list);
    document.body.dataset.inbox = head.dataset.state;
    const total = Number(head.dataset.total);
    document.title = `${total ? `(${total}) ` : ""}Approvals · Aegis`;
    const again = held && document.getElementById(held);
    if (again) mark(again, false);
  }
  function say(text) {
    const news = $("#news");
    if (!news) return;
    $("span", news).textContent = text;
    news.hidden = false;
  }
  async function pulse() {
    const reply = await fetch("/pulse", { headers: { "X-Aegis-Part": "auto" }, redirect: "error" }).catch(() => null);
    if (!reply) return say("The server does not answer.");
    if (reply.status === 401) return say("Your session has ended. What you type is kept when you send it.");
    if (!reply.ok || (await reply.json()).state === document.body.dataset.inbox) return;
    if (!open().length && !typing() && (document.hidden || Date.now() - touched > QUIET_MS)) return refresh("auto");
    say("The list has changed.");
  }
  if (document.body.dataset.inbox) setInterval(pulse, PULSE_MS);

  // The assistant's answer, word by word. What comes is text, and is put in as text alone.
  const el = (name, text, style) => Object.assign(document.createElement(name), { textContent: text || "", className: style || "" });
  async function ask(form) {
    const place = $("#answer"), box = el("div", "", "answer"), words = el("p", "…");
    box.append(words);
    place.replaceChildren(box);
    const reply = await fetch(form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/event-stream", "X-Aegis-Part": "1" }, redirect: "manual",
    }).catch(() => null);
    const streams = reply?.headers.get("content-type")?.startsWith("text/event-stream");
    if (!reply?.ok || !streams) { form.submit(); return; }  // the plain way says what is wrong
    words.textContent = "";
    let rest = "";
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (rest + part.value).replace(/\r\n?/g, "\n").split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const name = /^event: ?(.*)$/m.exec(event)?.[1], data = [...event.matchAll(/^data: ?(.*)$/gm)].map((m) => m[1]).join("\n");
        if (!name || !data) continue;
        const told = JSON.parse(data);
        if (name === "token") words.textContent += told.text ?? told;
        if (name === "error") words.textContent = told.detail;
        if (name === "answer") whole(box, told);
      }
    }
  }
  function whole(box, told) {
    box.replaceChildren();
    for (const sentence of told.sentences) {
      const line = el("p", sentence.text);
      for (const id of sentence.cites) line.append(" ", el("span", id, "aegis-cite"));
      box.append(line);
    }
    for (const p of told.proposals) {
      const put = el("div", "", "said open");
      put.append(el("p", `${p.action.replaceAll("_", " ")} on ${p.target.kind} ${p.target.value}. The gate says ${p.verb}: ${p.reason} (${p.rule}). Nothing was done.`));
      const form = $("#propose").content.cloneNode(true);
      $("[name=incident_id]", form).value = p.incident_id;
      $("[name=action]", form).value = p.action;
      $("[name=target]", form).value = p.exact;
      put.append(form);
      box.append(put);
    }
    for (const note of told.notes) box.append(el("p", note, "hint"));
    if (told.cites.length) {
      const rests = el("details"), list = el("ul", "", "evidence");
      rests.open = true;
      for (const c of told.cites) {
        const line = el("li");
        line.append(el("span", c.id, "aegis-cite"), " ", el("span", c.text, "aegis-value"), " ", el("span", c.ref, "hint"));
        list.append(line);
      }
      rests.append(el("summary", "What it rests on"), list);
      box.append(rests);
    }
    const how = told.model === "embedded" ? "extractive: every sentence is a template or an excerpt" : `worded by ${told.model}`;
    box.append(el("p", `${how} · ${Math.round(told.timing_ms)} ms`, "hint"));
  }

  // What scrolls sideways can be reached by key.
  $$(".aegis-scroll").forEach((box, at) => {
    if (box.scrollWidth <= box.clientWidth || box.tabIndex === 0) return;
    Object.assign(box, { tabIndex: 0, role: "group", ariaLabel: `Scrolls sideways (${at + 1})` });
  });
  recall();
})();
