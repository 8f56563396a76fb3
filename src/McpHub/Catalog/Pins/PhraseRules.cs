using System.Text.RegularExpressions;

namespace McpHub.Catalog.Pins;

/// <summary>
/// Rules about phrases, for folded texts. Each pattern begins with a word and has gaps of bounded length only, so its time grows with the text and no faster.
/// </summary>
internal static partial class PhraseRules
{
    private const int ShortestPhrase = 10;
    private const int Around = 50;
    private const int Milliseconds = 5_000;
    private const RegexOptions Options = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture;

    private static readonly HashSet<string> ContextParameters = new(StringComparer.Ordinal)
    {
        "chainofthought", "chathistory", "conversation", "conversationhistory", "fullconversation", "previousmessages", "sidenote", "systemprompt", "toolcallhistory", "userprompt",
    };

    private static readonly HashSet<string> DestructiveVerbs = new(StringComparer.Ordinal) { "delete", "destroy", "drop", "erase", "kill", "overwrite", "purge", "remove", "send", "terminate", "wipe" };

    private static readonly (string Rule, Regex Pattern, string[] Needs)[] Rules =
    [
        ("instruction-override", Override(), ["ignore", "disregard", "forget", "override", "bypass", "you are now", "new instructions"]),
        ("concealment", Concealment(), ["tell", "inform", "mention", "reveal", "disclose", "from the user", "user must", "user should", "secretly", "covertly", "silently", "let the"]),
        ("call-order", CallOrder(), ["tool"]),
        ("prompt-markup", PromptMarkup(), ["<", "[inst", "[/inst"]),
        ("hidden-markup", HiddenMarkup(), ["<", "[//]"]),
        ("secret-path", SecretPath(), [".ssh", ".aws", ".gnupg", ".kube", "id_rsa", "id_ed25519", "id_ecdsa", "/etc/", ".netrc", ".pgpass", ".git-credentials", ".npmrc", ".pypirc", "mcp.json", "claude_desktop_config", "wallet.dat", ".env"]),
        ("secret-request", SecretRequest(), ["conversation", "chat", "dialogue", "prompt", "instructions", "chain of thought", "private key"]),
        ("exfiltration", Exfiltration(), ["http", "@", "webhook.site", "requestbin", "ngrok", "pipedream", "burpcollaborator", "oastify", "interact.sh", "oast.", "canarytokens", "requestcatcher", "beeceptor", "dnslog"]),
    ];

    /// <summary>Checks a text.</summary>
    /// <returns>The rules that found something, each at most once, with what was found.</returns>
    /// <exception cref="RegexMatchTimeoutException">It takes too long; thrown as the answer is read.</exception>
    public static IEnumerable<(string Rule, string Excerpt)> Check(string folded)
    {
        if (folded.Length < ShortestPhrase)
        {
            yield break;
        }
        foreach (var (rule, pattern, needs) in Rules)
        {
            // Most texts have none of the words, which is found out sooner than a pattern is run.
            if (!needs.Any(need => folded.Contains(need, StringComparison.Ordinal)))
            {
                continue;
            }
            var match = pattern.Match(folded);
            if (match.Success)
            {
                yield return (rule, Near(folded, match.Index, match.Length));
            }
        }
    }

    /// <summary>Words in instructions that look like names of tools, and ids of what is called a server.</summary>
    /// <exception cref="RegexMatchTimeoutException">It takes too long.</exception>
    public static List<(string Word, string Excerpt)> Mentions(string folded)
    {
        var found = new List<(string, string)>();
        if (folded.Length < ShortestPhrase || !Directive().IsMatch(folded))
        {
            return found;
        }
        foreach (var sentence in Sentence().EnumerateMatches(folded))
        {
            var text = folded.Substring(sentence.Index, sentence.Length);
            if (!Directive().IsMatch(text))
            {
                continue;
            }
            foreach (Match name in ToolName().Matches(text))
            {
                found.Add((name.Value, Near(folded, sentence.Index + name.Index, name.Length)));
            }
            foreach (Match server in ServerName().Matches(text))
            {
                found.Add(("@" + server.Groups["id"].Value, Near(folded, sentence.Index + server.Index, server.Length)));
            }
        }
        return found;
    }

    /// <summary>Whether a parameter of this name is for the conversation or the system prompt.</summary>
    public static bool IsContextParameter(string name) =>
        name.Length <= 40 && ContextParameters.Contains(name.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToLowerInvariant());

    /// <summary>Whether a tool's name begins with a verb of changing something for good.</summary>
    public static bool IsDestructiveName(string name) => DestructiveVerbs.Contains(FirstWord().Match(name).Value.ToLowerInvariant());

    private static string Near(string text, int position, int length)
    {
        var (start, end) = (Math.Max(position - Around, 0), Math.Min(position + Math.Min(length, 110) + Around, text.Length));
        start += char.IsLowSurrogate(text[start]) ? 1 : 0;
        end += end < text.Length && char.IsLowSurrogate(text[end]) ? 1 : 0;
        return text[start..end];
    }

    [GeneratedRegex("""
        \b(ignore|disregard|forget)\b[^.!?]{0,30}?\b(previous|prior|above|earlier|preceding|original|existing|other|all|any|your|system)\b[^.!?]{0,30}?\b(instructions?|prompts?|guidelines|directives|directions)\b
        |\b(override|bypass)\b[^.!?]{0,20}?\b(previous|prior|your|all|safety|system)\b[^.!?]{0,20}?\b(instructions|guidelines|guardrails)\b
        |\byou\ are\ now\ (a|an|no\ longer|in\ (developer|debug|admin|god|unrestricted))\b
        |\bnew\ (system\ )?instructions:
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex Override();

    [GeneratedRegex("""
        \b(do\ not|don't|dont|never|must\ not|mustn't|should\ not|shouldn't|without|avoid)\ ([a-z]+\ ){0,2}?(tell|telling|inform|informing)\ (to\ )?(the\ |any\ |your\ )?(users?|human|anyone|anybody|customer)\b
        |\b(do\ not|don't|dont|never|must\ not|mustn't|should\ not|shouldn't|without)\ ([a-z]+\ ){0,2}?(mention|mentioning|reveal|revealing|disclose|disclosing)\b[^.!?]{0,25}?\b(this|that|it|these|the\ (tool|instructions?|steps?|call|transfer|note))\b[^.!?]{0,40}?\b(users?|human|customer|anyone|anybody)\b
        |\b(do\ not|don't|dont|never)\ let\ the\ (user|human|customer)\ (know|see|notice|find\ out)\b
        |\b(keep|hide|conceal)\ (this|it|that|these\ instructions|the\ (tool|call|instructions?))\b[^.!?]{0,30}?\bfrom\ (the\ |any\ )?(users?|human|customer)\b
        |\b(user|human|customer)\ (must|should)(\ not|n't)\ (know|see|notice|be\ told|be\ informed|be\ aware|find\ out)\b
        |\b(secretly|covertly)\ ([a-z]+\ ){0,3}?(send|forward|upload|copy|include|read|call|append|exfiltrate|add|bcc|pass)\b
        |\bsilently\ (send|forward|upload|exfiltrate|bcc)\b
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex Concealment();

    [GeneratedRegex("""
        \b(before|prior\ to|instead\ of|rather\ than)\ ((using|calling|invoking|running|executing)\ )?(any|every|all|each)(\ of\ the)?\ other\ tools?\b
        |\b(before|prior\ to)\ (using|calling|invoking|running|executing)\ (any|every|all|each)(\ of\ the)?\ tools?\b
        |\b(always|must)\ ([a-z]+\ ){0,2}?(call|use|invoke|run)\ this\ tool\ (first|before\ (any|every|all))\b
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex CallOrder();

    [GeneratedRegex("""
        <\ ?/?\ ?(important|instructions|system[_-]prompt|system-reminder|critical)\ ?>|</\ ?(system|instruction)\ ?>|\[/?inst\]|<\|(im_start|im_end|system|user|assistant|endoftext|begin_of_text|eot_id)[^|>]{0,20}\|>|<<\ ?/?sys\ ?>>
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex PromptMarkup();

    [GeneratedRegex("""
        <!--[^>]{8}|<[a-z]{1,20}\ [^>]{0,100}?\b(display\ ?:\ ?none|visibility\ ?:\ ?hidden|font-size\ ?:\ ?0|opacity\ ?:\ ?0)\b|<[a-z]{1,20}\ hidden\b|\[//\]:\ ?\#
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex HiddenMarkup();

    [GeneratedRegex("""
        \b(read|open|load|cat|send|include|pass|attach|copy|upload|extract|access|retrieve|fetch|print|paste)\b[^!?]{0,80}?
        (\.ssh/|\.aws/credentials|\.gnupg/|\.kube/config|\bid_(rsa|ed25519|ecdsa)\b|/etc/(passwd|shadow|sudoers)\b|\.(netrc|pgpass|git-credentials|pypirc)\b|~/\.npmrc\b|(cursor|vscode)/mcp\.json\b|claude_desktop_config\.json|\bwallet\.dat\b|(\s|/)\.env\b)
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex SecretPath();

    [GeneratedRegex("""
        \b(pass|include|provide|send|put|attach|add|insert|append|write|copy|paste|repeat|output|forward|share|submit)\b[^.!?]{0,50}?
        \b((entire|full|whole|complete)\ (conversation|chat|dialogue)|conversation\ (history|transcript)|your\ (system|developer)\ (prompt|message|instructions)|your\ (full\ )?chain\ of\ thought|(user's|your)\ private\ keys?)\b
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex SecretRequest();

    [GeneratedRegex("""
        \b(send|post|upload|forward|transmit|submit|exfiltrate|leak)\b[^!?]{0,80}?\b(conversations?|credentials?|secrets?|passwords?|api\ keys?|private\ keys?|environment\ variables|contents?\ of)\b[^!?]{0,60}?\bto\ [^!?]{0,20}?https?://
        |!\[[^\]]{0,100}\]\(https?://[^)\s]{0,300}?[{<$][^)\s]{0,100}\)
        |\b(webhook\.site|requestbin\.(com|net)|ngrok(-free)?\.(io|app|dev)|pipedream\.net|burpcollaborator\.net|oastify\.com|interact\.sh|oast\.(fun|live|me|pro|site)|canarytokens\.com|requestcatcher\.com|beeceptor\.com|dnslog\.cn)\b
        |\b(always|automatically|must|also)\b[^.!?]{0,30}?\b(bcc|cc|forward|send\ a\ copy)\b[^!?]{0,60}?[a-z0-9._+-]{1,40}@(?!example\.)[a-z0-9-]{1,40}\.[a-z]{2}
        """, Options | RegexOptions.IgnorePatternWhitespace, Milliseconds)]
    private static partial Regex Exfiltration();

    [GeneratedRegex(@"\b(before|after|instead|whenever|when|always|never|must|do not|don't|should not|replaces?|deprecated|broken|first)\b", Options, Milliseconds)]
    private static partial Regex Directive();

    [GeneratedRegex(@"[^.!?]{1,1000}", Options, Milliseconds)]
    private static partial Regex Sentence();

    [GeneratedRegex(@"\b[a-z0-9]{1,40}([_-]{1,2}[a-z0-9]{1,40}){1,10}\b", Options, Milliseconds)]
    private static partial Regex ToolName();

    [GeneratedRegex(@"\b(?<id>[a-z0-9][a-z0-9._@-]{2,63})('s)?( mcp)? (server|tools?)\b", Options, Milliseconds)]
    private static partial Regex ServerName();

    [GeneratedRegex("[A-Za-z][a-z]*|[A-Z]+", Options, Milliseconds)]
    private static partial Regex FirstWord();
}
