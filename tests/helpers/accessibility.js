// What can be checked of a page's accessibility by looking at it, as sentences about what is wrong.
// Run inside the page; returns a list.
() => {
  const wrong = [];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true });
  const called = (element) => element.outerHTML.slice(0, 90);

  const name = (element) =>
    (element.getAttribute("aria-label") ||
      (element.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim() ||
      [...(element.labels ?? [])].map((label) => label.textContent).join(" ") ||
      element.textContent || "").trim();

  if (!document.documentElement.lang) wrong.push("the page has no language");
  if (!document.title) wrong.push("the page has no title");
  if (document.querySelectorAll("main").length !== 1) wrong.push("there is not one main");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => wrong.push(`two elements are called ${id}`));
  for (const element of document.querySelectorAll("[aria-labelledby], [for]"))
    for (const id of (element.getAttribute("aria-labelledby") ?? element.getAttribute("for")).split(" "))
      if (!document.getElementById(id)) wrong.push(`${called(element)} points to nothing`);

  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    if (!visible(heading)) continue;
    const now = Number(heading.tagName[1]);
    if (now > level + 1) wrong.push(`${called(heading)} skips a level`);
    level = now;
  }

  for (const element of document.querySelectorAll("button, input, select, textarea, [role], figure, dialog, section")) {
    const role = element.getAttribute("role");
    if (!visible(element) || ["row", "status", "alert"].includes(role)) continue;
    if (!name(element)) wrong.push(`${called(element)} has no name`);
  }
  for (const element of document.querySelectorAll("button, select, input")) {
    if (!visible(element)) continue;
    const box = (element.labels?.[0]?.querySelector("input[type=checkbox]") ? element.labels[0] : element).getBoundingClientRect();
    if (box.width < 24 || box.height < 20) wrong.push(`${called(element)} is ${box.width} x ${box.height}: too small to hit`);
  }
  for (const grid of document.querySelectorAll("[role=grid]")) {
    if (!visible(grid)) continue;
    if ([...grid.children].some((row) => row.getAttribute("role") !== "row")) wrong.push("a grid has more than rows");
    if (grid.querySelectorAll("[role=row] > [role=gridcell][tabindex='0']").length !== 1)
      wrong.push("a grid has not one cell in the tab order");
  }
  for (const element of document.querySelectorAll("[tabindex]"))
    if (element.tabIndex > 0) wrong.push(`${called(element)} has a place of its own in the tab order`);
  for (const image of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([role=img])"))
    wrong.push(`${called(image)} is a picture without words`);

  // Contrast: the colour of each text on what lies below it, as the browser computes both.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const mixed = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !visible(element) || element.closest(":disabled, .unseen, .skip, script, option, noscript, .many")) continue;
    const style = getComputedStyle(element);
    const grounds = [];
    let opacity = 1;
    for (let up = element; up; up = up.parentElement) {
      const above = getComputedStyle(up);
      grounds.unshift(above.backgroundColor);
      opacity *= Number(above.opacity);
    }
    const striped = [...getComputedStyle(element.closest(".cell") ?? element).backgroundImage.matchAll(/(?:rgb|color|oklab)\([^)]*\)/g)];
    const colour = element instanceof SVGElement ? style.fill : style.color;
    for (const ground of [null, ...striped.map((match) => match[0])]) {
      const below = ground ? [...grounds, ground] : grounds;
      context.globalAlpha = 1;
      const back = mixed(below);
      context.globalAlpha = opacity;
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
      const front = [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
      context.globalAlpha = 1;
      const [light, dark] = [luminance(front), luminance(back)].sort((a, b) => b - a);
      const ratio = (light + 0.05) / (dark + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const key = `${colour} on ${back}`;
      if (ratio < (large ? 3 : 4.5) - 0.005 && !seen.has(key)) {
        seen.add(key);
        wrong.push(`"${text.slice(0, 20)}" has a contrast of ${ratio.toFixed(2)} (${key}, ${size}px): ${called(element)}`);
      }
    }
  }
  return wrong;
}
