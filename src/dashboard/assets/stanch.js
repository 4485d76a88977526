// Everything works without this file. It keeps a page current while it is open, and copies what is to be copied.
"use strict";
(() => {
  // Our own pages are the only HTML that is ever parsed here.
  const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy("stanch", { createHTML: (text) => text })
    : { createHTML: (text) => text };
  const live = () => document.querySelectorAll("[data-live]");
  const status = document.querySelector("[data-stream]");

  // Replaces the parts of the page that are marked, unless somebody is at work in one of them.
  const refresh = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { "x-refresh": "1" } });
    if (answer.redirected && new URL(answer.url).pathname.endsWith("/sign-in")) { location.assign(answer.url); return; }
    // An answer to a form has no page of its own at its address: it stays as it is.
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html");
    for (const old of live()) {
      const part = fresh.querySelector(`[data-live="${CSS.escape(old.dataset.live)}"]`);
      if (!part || part.textContent === old.textContent || old.contains(document.activeElement)) continue;
      const next = document.importNode(part, true);
      next.classList.add("fresh");
      old.replaceWith(next);
      const voice = document.getElementById("voice");
      if (voice && next.dataset.say) voice.textContent = next.dataset.say;
    }
  };

  let timer = 0;
  const soon = () => { clearTimeout(timer); timer = setTimeout(() => refresh().catch(() => {}), 150); };
  const address = document.body.dataset.events;
  if (address && window.EventSource) {
    let source = null;
    const open = () => {
      if (source || document.hidden) return;
      source = new EventSource(address);
      source.addEventListener("change", soon);
      // What changed between the making of the page and the opening of the stream is in neither.
      source.onopen = () => { soon(); if (status) { status.dataset.stream = "on"; status.title = "Kept current"; } };
      source.onerror = () => { if (status) status.dataset.stream = "off"; };
    };
    const close = () => { if (source) { source.close(); source = null; } };
    document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else { open(); soon(); } });
    window.addEventListener("pagehide", close);
    open();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const from = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(from.textContent.trim());
    button.textContent = "Copied";
  });
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;

  // Instants are UTC in the page; the reader's own clock is one hover away.
  document.addEventListener("mouseover", (event) => {
    const time = event.target.closest("time[datetime]");
    if (!time || time.dataset.local) return;
    time.dataset.local = "1";
    time.title = `${time.title}\n${new Date(time.dateTime).toLocaleString()} here`;
  });
})();
