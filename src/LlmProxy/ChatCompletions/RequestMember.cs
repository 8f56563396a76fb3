using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using LlmProxy.Routing;

namespace LlmProxy.ChatCompletions;

/// <summary>The top-level members of a request that route or bill it.</summary>
internal enum RequestMember
{
    /// <summary>Any other: passes as it is.</summary>
    Other,
    Model,
    Messages,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    Choices,
    ServiceTier,
    Prediction,
    Modalities,
    Audio,
    Tools,

    /// <summary>What a text completion continues.</summary>
    Prompt,

    /// <summary>How many candidates a text completion makes and bills.</summary>
    BestOf,

    /// <summary>Whether a text completion repeats its prompt in each answer.</summary>
    Echo,

    /// <summary>What is embedded.</summary>
    EmbeddingInput,

    /// <summary>What is moderated.</summary>
    ModerationInput,

    /// <summary>A member whose presence makes the price boundless.</summary>
    Boundless,
}

/// <summary>Recognises member names as a JSON parser would read them, escapes resolved.</summary>
internal static class MemberNames
{
    /// <summary>The longest escaped form of any name that is recognised.</summary>
    private const int MaxEscapedLength = 256;

    // Server-side tools, other models to choose from, and more candidates than are returned: each is billed beyond what the body shows.
    private static readonly string[] Boundless = ["web_search_options", "search_parameters", "plugins", "models", "mcp_servers", "best_of", "previous_response_id", "conversation", "prompt"];

    /// <summary>Whether a route may not set a member as a default, because what routes or bills must be seen in the request.</summary>
    public static bool IsRouted(string name) => name == "input" || RecogniseChat(Encoding.UTF8.GetBytes(name), out _) != RequestMember.Other;

    /// <summary>The member whose name the reader stands on.</summary>
    /// <param name="reader">Stands on a property name.</param>
    /// <param name="family">The endpoint that is called.</param>
    /// <param name="name">The member's name for messages; "" for one that is not recognised.</param>
    public static RequestMember Recognise(ref Utf8JsonReader reader, OpenAiFamily family, out string name)
    {
        if (!reader.ValueIsEscaped)
        {
            return family == EndpointFamily.Chat ? RecogniseChat(reader.ValueSpan, out name) : family.Recognise(reader.ValueSpan, out name);
        }
        Span<byte> unescaped = stackalloc byte[MaxEscapedLength];
        name = "";
        return TryUnescapeAscii(reader.ValueSpan, unescaped, out var length) ? family.Recognise(unescaped[..length], out name) : RequestMember.Other;
    }

    /// <summary>Whether the property name that the reader stands on is the given one.</summary>
    public static bool Is(ref Utf8JsonReader reader, ReadOnlySpan<byte> name)
    {
        if (!reader.ValueIsEscaped)
        {
            return reader.ValueSpan.SequenceEqual(name);
        }
        Span<byte> unescaped = stackalloc byte[MaxEscapedLength];
        return TryUnescapeAscii(reader.ValueSpan, unescaped, out var length) && unescaped[..length].SequenceEqual(name);
    }

    /// <summary>The members that other endpoints have in common with chat completions.</summary>
    /// <param name="name">The name, UTF-8.</param>
    /// <param name="hasOutput">Whether the endpoint puts out text, and so knows streams, limits and choices.</param>
    /// <param name="text">The name for messages; "" for a member that is not recognised.</param>
    public static RequestMember RecogniseCommon(ReadOnlySpan<byte> name, bool hasOutput, out string text)
    {
        var member = RecogniseChat(name, out text);
        var isCommon = member is RequestMember.Model or RequestMember.ServiceTier or RequestMember.Boundless
            || (hasOutput && member is RequestMember.Stream or RequestMember.StreamOptions or RequestMember.MaxTokens or RequestMember.MaxCompletionTokens or RequestMember.Choices);
        if (isCommon)
        {
            return member;
        }
        if (member is RequestMember.Messages or RequestMember.Prediction or RequestMember.Modalities or RequestMember.Audio or RequestMember.Tools)
        {
            return RequestMember.Boundless; // no part of this endpoint: a provider that takes it may bill whatever it likes
        }
        text = "";
        return RequestMember.Other;
    }

    /// <summary>The members of chat completions.</summary>
    public static RequestMember RecogniseChat(ReadOnlySpan<byte> name, out string text)
    {
        var member = name.Length switch
        {
            1 when name[0] == (byte)'n' => RequestMember.Choices,
            5 when name.SequenceEqual("model"u8) => RequestMember.Model,
            5 when name.SequenceEqual("tools"u8) => RequestMember.Tools,
            5 when name.SequenceEqual("audio"u8) => RequestMember.Audio,
            6 when name.SequenceEqual("stream"u8) => RequestMember.Stream,
            8 when name.SequenceEqual("messages"u8) => RequestMember.Messages,
            10 when name.SequenceEqual("max_tokens"u8) => RequestMember.MaxTokens,
            10 when name.SequenceEqual("prediction"u8) => RequestMember.Prediction,
            10 when name.SequenceEqual("modalities"u8) => RequestMember.Modalities,
            12 when name.SequenceEqual("service_tier"u8) => RequestMember.ServiceTier,
            14 when name.SequenceEqual("stream_options"u8) => RequestMember.StreamOptions,
            21 when name.SequenceEqual("max_completion_tokens"u8) => RequestMember.MaxCompletionTokens,
            _ => RequestMember.Other,
        };
        text = member switch
        {
            RequestMember.Other => "",
            RequestMember.Choices => "n",
            RequestMember.Model => "model",
            RequestMember.Tools => "tools",
            RequestMember.Audio => "audio",
            RequestMember.Stream => "stream",
            RequestMember.Messages => "messages",
            RequestMember.MaxTokens => "max_tokens",
            RequestMember.Prediction => "prediction",
            RequestMember.Modalities => "modalities",
            RequestMember.ServiceTier => "service_tier",
            RequestMember.StreamOptions => "stream_options",
            _ => "max_completion_tokens",
        };
        if (member == RequestMember.Other && name.Length is >= 6 and <= 20)
        {
            foreach (var candidate in Boundless)
            {
                if (candidate.Length == name.Length && Ascii.Equals(name, candidate))
                {
                    text = candidate;
                    return RequestMember.Boundless;
                }
            }
        }
        return member;
    }

    /// <summary>Resolves escapes. False: the text is too long, or not ASCII, and so none of the names that are looked for. Lone surrogates are no error here.</summary>
    private static bool TryUnescapeAscii(ReadOnlySpan<byte> escaped, Span<byte> unescaped, out int length)
    {
        length = 0;
        if (escaped.Length > MaxEscapedLength)
        {
            return false;
        }
        for (var i = 0; i < escaped.Length; i++)
        {
            var current = escaped[i];
            if (current == (byte)'\\')
            {
                current = escaped[++i];
                if (current == (byte)'u')
                {
                    if (!Utf8Parser.TryParse(escaped.Slice(i + 1, 4), out ushort unit, out _, 'x') || unit > 0x7F)
                    {
                        return false;
                    }
                    current = (byte)unit;
                    i += 4;
                }
                else if (current is not ((byte)'"' or (byte)'\\' or (byte)'/'))
                {
                    return false;
                }
            }
            unescaped[length++] = current;
        }
        return true;
    }
}
