/** One expression for the three languages shown: comment, string, keyword, constant. */
const MARKS =
  /(?<c>(?<=^|\s)(?:#|\/\/).*$)|(?<s>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<k>\b(?:import|from|const|await|async|for|of|in|if|or|new|print)\b)|(?<n>\b(?:[Tt]rue|[Ff]alse|None|null)\b)/gm

/** Cuts code into runs, each with the class of its colour or none. The runs joined are the code again. */
export function highlight(code: string): { text: string; mark: string | undefined }[] {
  const runs: { text: string; mark: string | undefined }[] = []
  let from = 0
  for (const match of code.matchAll(MARKS)) {
    if (match.index > from) runs.push({ text: code.slice(from, match.index), mark: undefined })
    const mark = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0]
    runs.push({ text: match[0], mark })
    from = match.index + match[0].length
  }
  if (from < code.length) runs.push({ text: code.slice(from), mark: undefined })
  return runs
}
