// What a page must be for everybody, WCAG 2.2 AA, as far as a machine can tell. Returns sentences about what is not so.
const wrong = [];
const name = (element) => {
  const html = element.outerHTML;
  return html.length > 110 ? `${html.slice(0, 110)}…` : html;
};
const seen = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
if (!document.documentElement.lang) wrong.push("the page has no language");
if (!document.title.trim()) wrong.push("the page has no title");
if (document.querySelectorAll("main").length !== 1) wrong.push("the page has not one main part");
const headings = [...document.querySelectorAll("main h1, main h2, main h3, main h4")].filter(seen);
if (headings.filter((heading) => heading.tagName === "H1").length !== 1) wrong.push("the page has not one first heading");
let level = 0;
for (const heading of headings) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) wrong.push(`a heading skips a level: ${name(heading)}`);
  if (!heading.textContent.trim()) wrong.push(`a heading is empty: ${name(heading)}`);
  level = next;
}
const ids = new Set();
for (const element of document.querySelectorAll("[id]")) {
  if (ids.has(element.id)) wrong.push(`two elements have the id ${element.id}`);
  ids.add(element.id);
}
for (const attribute of ["aria-labelledby", "aria-describedby"]) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    for (const id of element.getAttribute(attribute).split(/\s+/)) {
      if (!document.getElementById(id)) wrong.push(`${attribute} names nothing: ${name(element)}`);
    }
  }
}
const label = (element) => element.ariaLabel || element.textContent.trim() || element.title;
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  const labelled = [...(field.labels ?? [])].some((it) => it.textContent.trim()) || field.ariaLabel;
  if (!labelled) wrong.push(`a field has no label: ${name(field)}`);
}
for (const control of document.querySelectorAll("button, a[href], summary")) {
  if (!label(control)) wrong.push(`a control has no name: ${name(control)}`);
}
for (const table of document.querySelectorAll("table")) {
  if (!table.querySelector("th[scope]")) wrong.push(`a table has no headers: ${name(table)}`);
}
for (const graphic of document.querySelectorAll("svg")) {
  if (graphic.getAttribute("aria-hidden") !== "true" && graphic.getAttribute("role") !== "img") {
    wrong.push(`a drawing is neither hidden nor named: ${name(graphic)}`);
  }
}
for (const element of document.querySelectorAll("[style], [onclick], [onload], [onerror], [onmouseover]")) {
  wrong.push(`inline style or script: ${name(element)}`);
}
for (const link of document.querySelectorAll("a[href]")) {
  if (!/^(https?:)$/.test(new URL(link.href).protocol)) wrong.push(`a link that is no page: ${name(link)}`);
  if (new URL(link.href).origin !== location.origin && !link.rel.includes("noopener")) {
    wrong.push(`a link elsewhere keeps its opener: ${name(link)}`);
  }
}

// Contrast (1.4.3): of each piece of text with what lies behind it.
const rgb = (text) => {
  const canvas = rgb.canvas ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = text;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const over = (top, below) => top.slice(0, 3).map((part, at) => part * (top[3] / 255) + below[at] * (1 - top[3] / 255));
const behind = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.push(rgb(getComputedStyle(at).backgroundColor));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return layers.reverse().reduce((below, top) => over(top, below), dark ? [18, 18, 18] : [255, 255, 255]);
};
const light = (colour) => {
  const [r, g, b] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const told = new Set();
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !seen(element) || element.closest(".only-heard, .skip, svg, option")) continue;
  const style = getComputedStyle(element);
  const ground = behind(element);
  const text = over(rgb(style.color), ground);
  const [high, low] = [light(text), light(ground)].sort((a, b) => b - a);
  const ratio = (high + 0.05) / (low + 0.05);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (large ? 3 : 4.5) && !told.has(element.className)) {
    told.add(element.className);
    wrong.push(`contrast ${ratio.toFixed(2)}: ${name(element)}`);
  }
}

// Reflow (1.4.10) and target size (2.5.8).
if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1) {
  const wide = [...document.querySelectorAll("main *")].find((it) => it.getBoundingClientRect().right > innerWidth + 1);
  wrong.push(`the page scrolls sideways: ${wide ? name(wide) : "?"}`);
}
for (const control of document.querySelectorAll("button, .button, nav a, summary, select, input:not([type=hidden])")) {
  const box = control.getBoundingClientRect();
  if (seen(control) && box.width > 1 && (box.height < 24 || box.width < 24)) wrong.push(`a small target: ${name(control)}`);
}
return wrong;
