using System.Buffers.Text;
using LlmProxy.Relay;
using LlmProxy.Routing;

namespace LlmProxy.ChatCompletions;

/// <summary>
/// The closed list of edits: <c>model</c>, <c>stream_options.include_usage</c>, the output limit, and the route's defaults. New members stand right after <c>model</c>.
/// </summary>
internal static class BodyEdits
{
    private static readonly byte[] True = "true"u8.ToArray();
    private static readonly byte[] UsageOptions = "{\"include_usage\":true}"u8.ToArray();
    private static readonly byte[] UsageMember = ",\"stream_options\":{\"include_usage\":true}"u8.ToArray();
    private static readonly byte[] UsageFirst = "\"include_usage\":true"u8.ToArray();
    private static readonly byte[] UsageBeforeOthers = "\"include_usage\":true,"u8.ToArray();
    private static readonly byte[] MaxTokens = "\"max_tokens\""u8.ToArray();
    private static readonly byte[] MaxCompletionTokens = "\"max_completion_tokens\""u8.ToArray();

    /// <summary>The edits that are due for a target.</summary>
    /// <param name="call">The request.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="outputLimit">The output limit that must stand in the body; null: it stays as it is.</param>
    public static EditList For(ChatCall call, TargetPlan target, long? outputLimit)
    {
        var edits = new EditList();
        ref readonly var fields = ref call.Fields;
        if (target.Model != call.Entry.Name)
        {
            edits.Add(fields.Model.Offset, fields.Model.Length, target.ModelJson);
        }
        if (AsksForUsage(call, target))
        {
            AddUsage(edits, fields);
        }
        if (outputLimit is { } limit)
        {
            AddLimit(edits, fields, target.HonoursMaxCompletionTokens, limit);
        }
        if (call.Entry.Defaults.Length > 0)
        {
            AddDefaults(edits, call);
        }
        return edits;
    }

    /// <summary>Whether the gateway asks for the usage chunk that the client did not ask for.</summary>
    public static bool AsksForUsage(ChatCall call, TargetPlan target) => call.Fields.Stream && !call.Fields.WantsUsage && target.Provider.StreamUsage;

    private static void AddUsage(EditList edits, in RoutedFields fields)
    {
        var options = fields.StreamOptions;
        if (!options.Exists)
        {
            edits.Add(fields.Model.End, 0, UsageMember);
        }
        else if (fields.StreamOptionsIsNull)
        {
            edits.Add(options.Offset, options.Length, UsageOptions);
        }
        else if (fields.IncludeUsage.Exists)
        {
            edits.Add(fields.IncludeUsage.Offset, fields.IncludeUsage.Length, True);
        }
        else
        {
            edits.Add(options.Offset + 1, 0, fields.StreamOptionsIsEmpty ? UsageFirst : UsageBeforeOthers);
        }
    }

    /// <summary>
    /// Puts the limit where the provider honours it. A limit under the other name is renamed, not doubled: OpenAI refuses a request with both.
    /// </summary>
    private static void AddLimit(EditList edits, in RoutedFields fields, bool honoursMaxCompletionTokens, long limit)
    {
        var (honoured, other) = honoursMaxCompletionTokens ? (fields.MaxCompletionTokens, fields.MaxTokens) : (fields.MaxTokens, fields.MaxCompletionTokens);
        var name = honoursMaxCompletionTokens ? MaxCompletionTokens : MaxTokens;
        if (honoured.Value.Exists)
        {
            if (honoured.Tokens is null || honoured.Tokens > limit)
            {
                edits.Add(honoured.Value.Offset, honoured.Value.Length, Digits(limit));
            }
            if (other.Tokens > limit)
            {
                edits.Add(other.Value.Offset, other.Value.Length, Digits(limit));
            }
        }
        else if (other.Value.Exists)
        {
            edits.Add(other.Name.Offset, other.Name.Length, name);
            if (other.Tokens is null || other.Tokens > limit)
            {
                edits.Add(other.Value.Offset, other.Value.Length, Digits(limit));
            }
        }
        else
        {
            byte[] member = [(byte)',', .. name, (byte)':', .. Digits(limit)];
            edits.Add(fields.Model.End, 0, member);
        }
    }

    private static byte[] Digits(long value)
    {
        Span<byte> digits = stackalloc byte[20];
        Utf8Formatter.TryFormat(value, digits, out var length);
        return digits[..length].ToArray();
    }

    private static void AddDefaults(EditList edits, ChatCall call)
    {
        var defaults = call.Entry.Defaults;
        Span<bool> present = defaults.Length <= 32 ? stackalloc bool[defaults.Length] : new bool[defaults.Length];
        RequestScanner.FindMembers(call.Body.Bytes.Span, call.Entry.DefaultNames, present);
        for (var i = 0; i < defaults.Length; i++)
        {
            if (!present[i])
            {
                edits.Add(call.Fields.Model.End, 0, defaults[i].Insertion);
            }
        }
    }
}
