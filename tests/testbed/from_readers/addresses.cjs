// Reads From fields, one a line in base64, and writes the addresses that nodemailer's
// addressparser shows, as a JSON list a line.
const path = process.argv[2];
const { createRequire } = require("node:module");
const loaded = createRequire(path + "/package.json")("nodemailer/lib/addressparser");
const parse = loaded.default || loaded;
const lines = require("node:fs").readFileSync(0, "latin1").split("\n");
lines.pop();
const out = [];
for (const line of lines) {
  const shown = [];
  const take = (list) => {
    for (const entry of list) {
      if (entry.group) take(entry.group);
      else if (entry.address) shown.push(entry.address);
    }
  };
  take(parse(Buffer.from(line, "base64").toString("utf8")));
  take(parse(Buffer.from(line, "base64").toString("utf8"), { flatten: true }));
  out.push(JSON.stringify(shown.filter((s) => s.includes("@"))));
}
process.stdout.write(out.join("\n") + "\n");
