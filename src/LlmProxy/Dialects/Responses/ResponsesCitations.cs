using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

/// <summary>Annotations of a text.</summary>
internal static class ResponsesCitations
{
    /// <summary>Reads an annotation.</summary>
    public static NeutralCitation Read(JsonValue annotation)
    {
        var members = JsonMembers.Of(annotation.Raw);
        var isUrl = members.Take("type"u8).Is("url_citation"u8);
        return new NeutralCitation
        {
            Url = isUrl ? members.Take("url"u8).Text : default,
            Title = isUrl ? members.Take("title"u8).Text : members.Take("filename"u8).Text,
            Start = members.Take("start_index"u8).TryGetWhole(out var start) ? start : null,
            End = members.Take("end_index"u8).TryGetWhole(out var end) ? end : null,
            Raw = annotation.Raw,
        };
    }

    /// <summary>Writes a citation with a URL.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="citation">The citation.</param>
    /// <param name="length">The text's length in characters, for one that does not say which part it is of.</param>
    public static void Write(IBufferWriter<byte> output, NeutralCitation citation, long length)
    {
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, "url_citation");
        json.Number("start_index"u8, citation.Start ?? 0);
        json.Number("end_index"u8, citation.End ?? length);
        json.Text("url"u8, citation.Url);
        json.Text("title"u8, citation.Title.Exists ? citation.Title : JsonText.Empty);
        json.End();
    }
}
