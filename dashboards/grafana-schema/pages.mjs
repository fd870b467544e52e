// Writes pages as sources that the compiler holds to the type in page.ts: those of the files as they are, and for each
// example one with a panel of each kind from them, wrong by what the example does to it:
//
//   node pages.mjs FOLDER FILE…
//
// What is done to which is in the folder's file `wrong`, a line each.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { wrong } from "./examples.mjs";

const [folder, ...files] = process.argv.slice(2);

function fail(what) {
  console.error(what);
  process.exitCode = 1;
}

// The value begins on the first line, so that the compiler's lines are those of the file.
function write(name, json) {
  writeFileSync(join(folder, `${name}.ts`), `import type { Page } from "./page"; export const page: Page = ${json}`);
}

const pages = files.flatMap((file) => {
  const json = readFileSync(file, "utf8");
  write(basename(file, ".json"), json);
  try {
    return [JSON.parse(json)];
  } catch (error) {
    fail(`${basename(file)} is not JSON, mend what writes it: ${error.message}`);
    return [];
  }
});

if (pages.length < files.length) {
  process.exit();
}

// One page made of right ones, as the parts that an example may change.
function parts() {
  const panels = pages.flatMap((page) => page.panels ?? []);
  const page = structuredClone(pages.find((page) => page.annotations?.list?.length > 0));
  page.panels = ["timeseries", "stat", "state-timeline", "text"].map((type) =>
    structuredClone(panels.find((panel) => panel.type === type)),
  );
  const [line, stat, states, text] = page.panels;
  const [source, choice] = ["datasource", "query"].map((type) =>
    page.templating.list.find((variable) => variable.type === type),
  );
  return { page, line, stat, states, text, annotation: page.annotations.list[0], source, choice };
}

const written = (page) => JSON.stringify(page, null, 2);

wrong.forEach((change, i) => {
  try {
    const before = parts();
    const after = parts();
    change(after);
    if (written(after.page) === written(before.page)) {
      throw new Error("the page is the same as before");
    }
    write(`wrong-${i + 1}`, written(after.page));
  } catch (error) {
    fail(`this cannot be done to a page, mend it in examples.mjs or the pages: ${change}: ${error.message}`);
  }
});
writeFileSync(join(folder, "wrong"), wrong.map((change) => `${change}\n`).join(""));
