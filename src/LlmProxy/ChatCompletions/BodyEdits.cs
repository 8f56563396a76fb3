using System.Buffers.Text;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Anthropic;
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

    /// <summary>The edits that are due for a target, in the client's own format.</summary>
    /// <param name="call">The request.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="outputLimit">The output limit that must stand in the body; null: it stays as it is.</param>
    public static EditList For(ChatCall call, TargetPlan target, long? outputLimit)
    {
        var edits = new EditList();
        byte[]? besideLimit = null;
        if (call.Entry.ForeignDefaults is { } defaults && target.Family is DialectFamily)
        {
            call.LeftOut = new DropReport();
            besideLimit = defaults.AddTo(call.Body.Bytes.Span, target, outputLimit ?? call.Fields.OutputLimit, edits, call.LeftOut);
        }
        var edit = new BodyEdit
        {
            Model = target.IsRehosted || (call.Fields.Model.Exists && target.Model != call.Entry.Name) ? target.ModelJson : null,
            Betas = target.IsRehosted ? AnthropicBetas.ForBody(call, target) : null,
            OutputLimit = outputLimit,
            BesideLimit = besideLimit,
            AsksForUsage = AsksForUsage(call, target),
            HonoursMaxCompletionTokens = target.HonoursMaxCompletionTokens,
        };
        (target.IsRehosted ? target.Upstream : target.Family).Edit(call.Body.Bytes.Span, call.Fields, edit, edits);
        AddDefaults(edits, call);
        return edits;
    }

    /// <summary>The members that the route adds to requests in OpenAI's older formats, alone.</summary>
    public static EditList DefaultsOf(ChatCall call)
    {
        var edits = new EditList();
        AddDefaults(edits, call);
        return edits;
    }

    /// <summary>The edits of OpenAI's older endpoints.</summary>
    public static void Add(in RoutedFields fields, in BodyEdit edit, EditList edits)
    {
        if (edit.Model is { } model)
        {
            edits.Add(fields.Model.Offset, fields.Model.Length, model);
        }
        if (edit.AsksForUsage)
        {
            AddUsage(edits, fields);
        }
        if (edit.OutputLimit is { } limit)
        {
            AddLimit(edits, fields, edit.HonoursMaxCompletionTokens, limit);
        }
    }

    /// <summary>Whether the gateway asks for the usage chunk that the client did not ask for.</summary>
    public static bool AsksForUsage(ChatCall call, TargetPlan target) => target.Family is OpenAiFamily && call.Fields.Stream && !call.Fields.WantsUsage && target.Provider.StreamUsage;

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
        if (defaults.Length == 0 || call.Target.Family is not OpenAiFamily)
        {
            return;
        }
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
