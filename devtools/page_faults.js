// What is wrong with how a page looks, as far as a program can see it: a list of sentences, empty if nothing is.
() => {
  const faults = new Set();
  const visible = (element) => element.checkVisibility({ visibilityProperty: true });
  const inside = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
  const meet = (one, other) =>
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

  // Any colour as CSS has it, such as `rgb(1, 2, 3)` of a name or a hexadecimal number.
  const probe = document.body.appendChild(document.createElement("span"));
  const channels = (colour) => {
    probe.style.color = colour;
    return getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  };
  const luminance = (colour) => {
    const [red, green, blue] = channels(colour)
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  // As WCAG 2 counts it; 4.5 is what it demands of text.
  const demandContrast = (text, ink, paper) => {
    const [dark, bright] = [luminance(ink), luminance(paper)].sort((one, other) => one - other);
    if ((bright + 0.05) / (dark + 0.05) < 4.5) faults.add(`${text}: ${ink} on ${paper} cannot be read`);
  };
  const paperBehind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "white";
  };

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.add(`the page is ${root.scrollWidth} pixels wide`);

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !visible(element) || element.closest("script, style, option, .chart, .skip, nav, thead")) continue;
    if (/\b(null|NaN|undefined|None|Infinity)\b/.test(text)) faults.add(`it says ${text}`);
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const box = element.closest(".tile, td, .empty, button, select, label, body").getBoundingClientRect();
    if (!inside(range.getBoundingClientRect(), box)) faults.add(`${text} is cut off`);
    demandContrast(text, getComputedStyle(element).color, paperBehind(element));
  }

  for (const table of document.querySelectorAll(".scroll > table")) {
    if (table.scrollWidth > table.parentElement.clientWidth + 1) faults.add(`the table ${table.id} is wider than its place`);
  }

  for (const chart of document.querySelectorAll(".chart")) {
    const place = chart.querySelector("svg").getBoundingClientRect();
    for (const text of chart.querySelectorAll("text")) {
      const [said, box] = [text.textContent, text.getBoundingClientRect()];
      if (/null|NaN|undefined|None/.test(said)) faults.add(`${chart.id} says ${said}`);
      if (!inside(box, place)) faults.add(`${said} is cut off in ${chart.id}`);
      // The last of the shapes drawn before it, on which it stands.
      const shapes = [...chart.querySelectorAll(".box, [class^=level-]")].filter((shape) => meet(shape.getBoundingClientRect(), box));
      demandContrast(said, getComputedStyle(text).fill, shapes.length ? getComputedStyle(shapes.at(-1)).fill : paperBehind(chart));
      if (shapes.length && !shapes.some((shape) => inside(box, shape.getBoundingClientRect()))) faults.add(`${said} is wider than its box in ${chart.id}`);
    }
    for (const kind of [".tick", ".box"]) {
      const boxes = [...chart.querySelectorAll(kind)].map((element) => [element.textContent, element.getBoundingClientRect()]);
      boxes.forEach(([one, box], number) =>
        boxes.slice(number + 1).forEach(([other, next]) => meet(box, next) && faults.add(`${one} and ${other} overlap in ${chart.id}`)),
      );
    }
  }
  probe.remove();
  return [...faults];
}
