using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.Neutral;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Dialects.Gemini;

/// <summary>Encodes a <c>GenerateContentRequest</c>.</summary>
internal sealed partial class GeminiRequestEncoder
{
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true, MaxDepth = 1000 };

    private readonly NeutralRequest request;
    private readonly EncodeTarget target;
    private readonly Utf8JsonWriter json;
    private readonly IBufferWriter<byte> output;
    private readonly GeminiModelTraits model;
    private readonly Dictionary<string, JsonText> callNames = new(StringComparer.Ordinal);
    private GatewayError? error;
    private Turn turn;

    private GeminiRequestEncoder(NeutralRequest request, EncodeTarget target, Utf8JsonWriter json, IBufferWriter<byte> output)
    {
        (this.request, this.target, this.json, this.output) = (request, target, json, output);
        model = new GeminiModelTraits(target.Model);
        IsOwn = request.Source == DialectIds.Gemini;
        IsVertex = IsVertexProvider(target.Provider);
    }

    private enum Turn
    {
        None,
        User,
        Results,
        Model,
    }

    /// <summary>
    /// Google's documented word for a call whose signature is unknown, because another model made it or its client cannot carry one: without any, Gemini 3 answers 400
    /// (ai.google.dev/gemini-api/docs/thought-signatures).
    /// </summary>
    public static ReadOnlySpan<byte> NoSignature => "\"skip_thought_signature_validator\""u8;

    private bool IsOwn { get; }

    private bool IsVertex { get; }

    /// <summary>Encodes a request.</summary>
    public static GatewayError? Encode(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output)
    {
        using var json = new Utf8JsonWriter(output, Writing);
        var encoder = new GeminiRequestEncoder(request, target, json, output);
        encoder.Run();
        json.Flush();
        return encoder.error;
    }

    /// <summary>Whether a provider is Vertex AI rather than AI Studio: it takes labels, and no ids of calls.</summary>
    public static bool IsVertexProvider(Provider provider) =>
        provider.Id.Contains("vertex", StringComparison.OrdinalIgnoreCase) || provider.BaseAddress?.Host.Contains("aiplatform", StringComparison.OrdinalIgnoreCase) == true;

    private void Run()
    {
        if (!IsOwn)
        {
            UnknownMembers.Report(request, target.Dropped);
        }
        json.WriteStartObject();
        var first = WriteSystem();
        WriteContents(first);
        if (error is not null)
        {
            return;
        }
        WriteTools();
        WriteToolConfig();
        WriteConfig();
        WriteRest();
        json.WriteEndObject();
    }

    /// <summary>Writes the instructions that the conversation begins with. Returns the place of its first turn.</summary>
    private int WriteSystem()
    {
        var first = 0;
        while (first < request.Messages.Count && IsInstruction(request.Messages[first]))
        {
            first++;
        }
        if (first > 0 && first == request.Messages.Count && !IsOwn)
        {
            first--; // Google wants at least one turn: the last of the instructions becomes it
        }
        if (first == 0)
        {
            return 0;
        }
        json.WriteStartObject("systemInstruction"u8);
        json.WriteStartArray("parts"u8);
        for (var i = 0; i < first; i++)
        {
            var message = request.Messages[i];
            foreach (var part in message.Parts)
            {
                switch (part)
                {
                    case TextPart text when IsOwn || !text.Text.IsBlank:
                        WriteText(text);
                        break;
                    case TextPart:
                        break;
                    case NativePart native when IsOwn:
                        WriteRaw(native.Raw);
                        break;
                    case MediaPart medium when IsOwn:
                        WriteMedium(medium, "systemInstruction");
                        break;
                    default:
                        Drop("system[].content[]." + Describe(part));
                        break;
                }
                DropMarks(part);
            }
        }
        json.WriteEndArray();
        WriteOwn(request.Messages[0].Extensions);
        json.WriteEndObject();
        for (var i = 0; i < first; i++)
        {
            if (request.Messages[i].Name.Exists)
            {
                Drop("messages[].name");
            }
        }
        return first;
    }

    private static bool IsInstruction(NeutralMessage message) => message.Role is NeutralRole.System or NeutralRole.Developer;

    private void WriteContents(int first)
    {
        json.WriteStartArray("contents"u8);
        var held = new List<NeutralMessage>();
        for (var i = first; i < request.Messages.Count && error is null; i++)
        {
            var message = request.Messages[i];
            if (IsInstruction(message) && AnswersFollow(i))
            {
                held.Add(message); // between calls and their results nothing may stand
                continue;
            }
            if (message.Role != NeutralRole.Tool)
            {
                WriteHeld(held);
            }
            WriteMessage(message, i);
        }
        WriteHeld(held);
        EndTurn();
        json.WriteEndArray();
    }

    private bool AnswersFollow(int place)
    {
        while (++place < request.Messages.Count)
        {
            if (!IsInstruction(request.Messages[place]))
            {
                return request.Messages[place].Role == NeutralRole.Tool;
            }
        }
        return false;
    }

    private void WriteHeld(List<NeutralMessage> held)
    {
        foreach (var message in held)
        {
            WriteMessage(message, -1);
        }
        held.Clear();
    }

    private void WriteMessage(NeutralMessage message, int place)
    {
        var next = message.Role switch
        {
            NeutralRole.Assistant => Turn.Model,
            NeutralRole.Tool => Turn.Results,
            _ => Turn.User,
        };
        var joins = IsOwn ? message.IsShort && turn == Turn.Results : next == turn;
        if (IsInstruction(message))
        {
            Drop("messages[].role"); // an instruction in mid-conversation keeps its place, but not its rank
        }
        if (message.Name.Exists)
        {
            Drop("messages[].name");
        }
        if (!joins)
        {
            if (!IsOwn && !message.Parts.Exists(IsWritten))
            {
                return; // nothing to say
            }
            EndTurn();
            json.WriteStartObject();
            json.WriteString("role"u8, next == Turn.Model ? "model"u8 : "user"u8);
            WriteOwn(message.Extensions);
            json.WriteStartArray("parts"u8);
        }
        turn = next;
        var where = place < 0 ? "messages[]" : $"messages[{place}]";
        var isFirstCall = true;
        foreach (var part in message.Parts)
        {
            WritePart(part, next, where, ref isFirstCall);
            if (error is not null)
            {
                return;
            }
        }
        if (next == Turn.Results && !model.IsThirdGeneration && !IsOwn)
        {
            WriteResultMedia(message, where);
        }
    }

    /// <summary>Whether a part of another dialect leaves anything in a content.</summary>
    private bool IsWritten(NeutralPart part) => part switch
    {
        TextPart text => !text.Text.IsBlank || text.Signature is { Family: SignatureFamilies.Google },
        ReasoningPart reasoning => reasoning.Signature is { Family: SignatureFamilies.Google } && !reasoning.IsRedacted,
        NativePart => IsOwn,
        _ => true,
    };

    private void EndTurn()
    {
        if (turn != Turn.None)
        {
            json.WriteEndArray();
            json.WriteEndObject();
            turn = Turn.None;
        }
    }

    private void WriteRest()
    {
        if (request.ServiceTier.Exists)
        {
            WriteTier(request.ServiceTier);
        }
        if (!request.Metadata.IsEmpty)
        {
            if (IsOwn)
            {
                WriteMember("labels"u8, new JsonText(request.Metadata));
            }
            else
            {
                WriteLabels();
            }
        }
        if (IsOwn)
        {
            foreach (var member in request.Extensions.Members)
            {
                var name = member.Key.ToString();
                if (!name.StartsWith("generationConfig.", StringComparison.Ordinal) && !name.StartsWith("toolConfig.", StringComparison.Ordinal))
                {
                    WriteMember(member.Key, member.Value);
                }
            }
            return;
        }
        DropIf(request.EndUser.Exists, "user");
        DropIf(request.CacheKey.Exists, "prompt_cache_key");
        DropIf(request.Cache is not null, "cache_control");
        DropIf(request.Store == true, "store");
        DropIf(request.Verbosity.Exists, "verbosity");
    }

    private void WriteTier(JsonText tier)
    {
        if (IsOwn || tier.Is("flex"u8) || tier.Is("priority"u8) || tier.Is("standard"u8))
        {
            WriteMember("serviceTier"u8, tier);
        }
        else if (tier.Is("default"u8))
        {
            json.WriteString("serviceTier"u8, "standard"u8);
        }
        else if (!tier.Is("auto"u8))
        {
            Drop("service_tier");
        }
    }

    /// <summary>Vertex AI bills by labels: keys and values of at most 63 lower-case letters, digits, hyphens and underscores, at most 64 of them.</summary>
    private void WriteLabels()
    {
        var reader = new Utf8JsonReader(request.Metadata.Span);
        var labels = new List<(JsonText Name, JsonText Value)>();
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            Drop("metadata");
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = new JsonText(request.Metadata.Slice((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2));
            reader.Read();
            if (IsVertex && labels.Count < 64 && reader.TokenType == JsonTokenType.String && IsLabel(name, isKey: true) && IsLabel(JsonText.Of(ref reader, request.Metadata), isKey: false))
            {
                labels.Add((name, JsonText.Of(ref reader, request.Metadata)));
            }
            else
            {
                Drop(IsVertex ? "metadata." + name : "metadata");
            }
            reader.Skip();
        }
        if (labels.Count > 0)
        {
            json.WriteStartObject("labels"u8);
            foreach (var (name, value) in labels)
            {
                WriteMember(name, value.Token);
            }
            json.WriteEndObject();
        }
    }

    private static bool IsLabel(JsonText text, bool isKey)
    {
        var escaped = text.Escaped.Span;
        return escaped.Length <= 63 && escaped.IndexOfAnyExcept("abcdefghijklmnopqrstuvwxyz0123456789_-"u8) < 0 && (!isKey || (escaped.Length > 0 && escaped[0] is >= (byte)'a' and <= (byte)'z'));
    }

    private bool HasExtensions(string prefix)
    {
        foreach (var member in request.Extensions.Members)
        {
            if (member.Key.ToString().StartsWith(prefix, StringComparison.Ordinal))
            {
                return true;
            }
        }
        return false;
    }

    private void WriteExtensions(string prefix, string? except = null)
    {
        if (!IsOwn)
        {
            return;
        }
        foreach (var member in request.Extensions.Members)
        {
            var name = member.Key.ToString();
            if (name.StartsWith(prefix, StringComparison.Ordinal) && (except is null || !name.StartsWith(except, StringComparison.Ordinal)))
            {
                WriteMember(JsonText.From(name[prefix.Length..]), member.Value);
            }
        }
    }

    private void WriteOwn(ExtensionBag bag)
    {
        foreach (var member in IsOwn ? bag.Members : [])
        {
            WriteMember(member.Key, member.Value);
        }
    }

    private void WriteNumber(ReadOnlySpan<byte> name, ReadOnlyMemory<byte> number)
    {
        if (!number.IsEmpty)
        {
            WriteMember(name, new JsonText(number));
        }
    }

    private void WriteRaw(ReadOnlyMemory<byte> raw) => json.WriteRawValue(raw.Span, skipInputValidation: true);

    private void WriteMember(ReadOnlySpan<byte> name, JsonText value)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(value.Token.Span, skipInputValidation: true);
    }

    private void WriteMember(JsonText name, ReadOnlyMemory<byte> value)
    {
        json.WritePropertyName(name.ToString());
        json.WriteRawValue(value.Span, skipInputValidation: true);
    }

    private void DropMarks(NeutralPart part)
    {
        if (part.Cache is not null)
        {
            Drop("messages[].content[].cache_control");
        }
    }

    private void DropIf(bool isSet, string name)
    {
        if (isSet)
        {
            Drop(name);
        }
    }

    private void Drop(string name) => target.Dropped.Add(name);

    private void Refuse(string where, string what) =>
        error ??= new GatewayError(400, "unsupported_content", $"'{where}' {what}") { Field = where };

    private static string Shorten(string text) => text.Length <= 64 ? text : text[..64] + "…";

    private static string Describe(NeutralPart part) => part switch
    {
        NativePart native => native.Type,
        MediaPart medium => medium.Kind.ToString().ToLowerInvariant(),
        ToolCallPart => "tool_call",
        ToolResultPart => "tool_result",
        ReasoningPart => "reasoning",
        RefusalPart => "refusal",
        _ => "text",
    };
}
