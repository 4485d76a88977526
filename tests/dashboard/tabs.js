// Begins to watch where the focus goes. `told()` then says what is wrong with the way of the Tab key through the page
// (WCAG 2.2: 2.1.1 everything is reached, 2.4.3 in the order it is read, 2.4.7 and 2.4.11 it is seen where one is).
const seen = (element) => element.checkVisibility({ checkVisibilityCSS: true });
const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
  .filter((element) => seen(element) && !element.disabled);
const way = [];
const wrong = [];
document.addEventListener("focusin", ({ target }) => {
  const place = all.indexOf(target);
  if (place < 0 || way.includes(place)) return;
  way.push(place);
  const style = getComputedStyle(target);
  const html = target.outerHTML.slice(0, 100);
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) wrong.push(`no visible focus: ${html}`);
  const box = target.getBoundingClientRect();
  // The middle of the part that is in sight.
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const [x, y] = [box.left + Math.min(box.width / 2, 20), (top + bottom) / 2];
  const there = document.elementFromPoint(x, y);
  if (!there || !(target.contains(there) || there.contains(target))) wrong.push(`hidden while it has the focus: ${html}`);
});
window.told = () => {
  const sorted = [...way].sort((a, b) => a - b);
  if (String(sorted) !== String(way)) wrong.push(`out of order: ${way}`);
  all.forEach((element, place) => {
    if (!way.includes(place)) wrong.push(`not reached: ${element.outerHTML.slice(0, 100)}`);
  });
  return wrong;
};
return all.length;
