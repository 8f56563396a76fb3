using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Relay;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>The closed list of edits of a relayed body: the model, the output limit, and for the clouds the members that they want in place of others.</summary>
internal static class AnthropicEdits
{
    /// <summary>The version of the API that a cloud shall speak, a string token; empty: it stands in a header.</summary>
    public static ReadOnlySpan<byte> VersionOf(AnthropicHost host) => host switch
    {
        AnthropicHost.Vertex => "\"vertex-2023-10-16\""u8,
        AnthropicHost.BedrockInvoke => "\"bedrock-2023-05-31\""u8,
        _ => default,
    };

    public static void Add(ReadOnlySpan<byte> body, AnthropicHost host, in RoutedFields fields, in BodyEdit edit, EditList edits)
    {
        var limit = fields.MaxTokens;
        if (edit.OutputLimit is { } tokens && limit.Value.Exists && (limit.Tokens is null || limit.Tokens > tokens))
        {
            edits.Add(limit.Value.Offset, limit.Value.Length, Encoding.UTF8.GetBytes(tokens.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        }
        if (host == AnthropicHost.Anthropic && fields.Model.Exists)
        {
            if (edit.Model is { } model)
            {
                edits.Add(fields.Model.Offset, fields.Model.Length, model);
            }
            return;
        }
        Adapt(body, host, fields.Stream, edit, edits);
    }

    /// <summary>Makes one host's body another's: takes out what stands in the address or a header there, puts in what stands in the body.</summary>
    private static void Adapt(ReadOnlySpan<byte> body, AnthropicHost host, bool isStream, in BodyEdit edit, EditList edits)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });
        reader.Read();
        var open = (int)reader.BytesConsumed;
        var (hasVersion, hasStream, hasBetas, keptEnd, goneStart, goneEnd, keepsAny) = (false, false, false, open, -1, open, false);
        List<(int Start, int End)> gone = [];
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var (isVersion, isStreamMember, isBetas) = (MemberNames.Is(ref reader, "anthropic_version"u8), MemberNames.Is(ref reader, "stream"u8), MemberNames.Is(ref reader, "anthropic_beta"u8));
            var goes = isVersion ? host == AnthropicHost.Anthropic
                : isStreamMember ? host == AnthropicHost.BedrockInvoke
                : isBetas ? host != AnthropicHost.BedrockInvoke
                : host != AnthropicHost.Anthropic && MemberNames.Is(ref reader, "model"u8);
            reader.Read();
            var value = (int)reader.TokenStartIndex;
            var (isTrue, isAnothers) = (reader.TokenType == JsonTokenType.True, isVersion && !IsOf(host, ref reader));
            reader.Skip();
            var end = (int)reader.BytesConsumed;
            if (goes)
            {
                goneStart = goneStart < 0 ? start : goneStart;
                goneEnd = end;
                continue;
            }
            if (goneStart >= 0)
            {
                gone.Add((goneStart, start)); // with the comma after it
                goneStart = -1;
            }
            (keptEnd, keepsAny) = (end, true);
            hasVersion |= isVersion;
            hasStream |= isStreamMember;
            hasBetas |= isBetas;
            if (isAnothers)
            {
                edits.Add(value, end - value, VersionOf(host).ToArray());
            }
            else if (isStreamMember && isTrue != isStream)
            {
                edits.Add(value, end - value, isStream ? "true"u8.ToArray() : "false"u8.ToArray());
            }
        }
        if (goneStart >= 0)
        {
            gone.Add((keepsAny ? keptEnd : goneStart, goneEnd)); // with the comma before it
        }
        var inserted = new List<byte>();
        Insert("\"model\":"u8, host == AnthropicHost.Anthropic ? edit.Model : null);
        Insert("\"anthropic_version\":"u8, hasVersion || host == AnthropicHost.Anthropic ? null : VersionOf(host));
        Insert("\"anthropic_beta\":"u8, hasBetas || host != AnthropicHost.BedrockInvoke ? null : edit.Betas);
        Insert("\"stream\":"u8, isStream && !hasStream && host != AnthropicHost.BedrockInvoke ? "true"u8 : default);
        if (inserted.Count > 0)
        {
            inserted.AddRange(keepsAny ? ","u8 : default);
            edits.Add(open, 0, inserted.ToArray());
        }
        foreach (var (start, end) in gone)
        {
            edits.Add(start, end - start, ReadOnlyMemory<byte>.Empty);
        }

        void Insert(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
        {
            if (!value.IsEmpty)
            {
                inserted.AddRange(inserted.Count > 0 ? ","u8 : default);
                inserted.AddRange(name);
                inserted.AddRange(value);
            }
        }
    }

    /// <summary>Whether a version is one of a host's, whatever its date.</summary>
    private static bool IsOf(AnthropicHost host, ref Utf8JsonReader reader) =>
        reader.TokenType == JsonTokenType.String && reader.ValueSpan.StartsWith(host == AnthropicHost.Vertex ? "vertex-"u8 : "bedrock-"u8);
}
