// The bytes of one value inside a JSON text, so that two texts can be compared exactly: parsing and printing again would hide a changed
// escape, number or order.

function skipSpace(text, at) {
  while (' \t\r\n'.includes(text[at])) {
    at++;
  }
  return at;
}

function endOfString(text, at) {
  for (at++; text[at] !== '"'; at++) {
    if (text[at] === '\\') {
      at++;
    }
  }
  return at + 1;
}

function endOfValue(text, at) {
  if (text[at] === '"') {
    return endOfString(text, at);
  }
  if (text[at] !== '{' && text[at] !== '[') {
    while (at < text.length && !',]} \t\r\n'.includes(text[at])) {
      at++;
    }
    return at;
  }
  for (let depth = 0; at < text.length;) {
    const character = text[at];
    if (character === '"') {
      at = endOfString(text, at);
      continue;
    }
    at++;
    if (character === '{' || character === '[') {
      depth++;
    } else if ((character === '}' || character === ']') && --depth === 0) {
      return at;
    }
  }
  throw new Error('the JSON text ends inside a value');
}

/** Members of the object, or elements of the array, that `text` is: pairs of name (or index) and raw text. */
export function entries(text) {
  const found = [];
  const isObject = text[0] === '{';
  let at = skipSpace(text, 1);
  while (text[at] !== '}' && text[at] !== ']') {
    let name = found.length;
    if (isObject) {
      const end = endOfString(text, at);
      name = JSON.parse(text.slice(at, end));
      at = skipSpace(text, skipSpace(text, end) + 1);
    }
    const end = endOfValue(text, at);
    found.push([name, text.slice(at, end)]);
    at = skipSpace(text, end);
    if (text[at] === ',') {
      at = skipSpace(text, at + 1);
    }
  }
  return found;
}

/** The raw text of the value that `path` leads to; undefined if there is none. */
export function slice(text, ...path) {
  let value = text.slice(skipSpace(text, 0)).trimEnd();
  for (const step of path) {
    value = entries(value).find(([name]) => name === step)?.[1];
    if (value === undefined) {
      return undefined;
    }
  }
  return value;
}
