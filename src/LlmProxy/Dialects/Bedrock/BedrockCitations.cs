using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Bedrock's citations: <c>{"title","source","sourceContent":[{"text"}],"location":{"web":{"url","domain"}|"documentChar":{…}|…}}</c>.</summary>
internal static class BedrockCitations
{
    /// <summary>Reads one.</summary>
    /// <param name="raw">The object.</param>
    public static NeutralCitation Read(ReadOnlyMemory<byte> raw)
    {
        var members = JsonMembers.Of(raw);
        var title = members.Take("title"u8).Text;
        var location = members.Take("location"u8);
        var url = location.IsObject && JsonMembers.Of(location.Raw).Take("web"u8) is { IsObject: true } web ? JsonMembers.Of(web.Raw).Take("url"u8).Text : default;
        JsonText cited = default;
        var contents = new JsonArrayReader(members.Take("sourceContent"u8));
        while (!cited.Exists && contents.Next(out var content))
        {
            cited = content.IsObject ? JsonMembers.Of(content.Raw).Take("text"u8).Text : default;
        }
        return new NeutralCitation { Title = title, Url = url, CitedText = cited, Raw = raw };
    }

    /// <summary>Whether <see cref="Read"/> finds all that one says: a title, one cited text, an address of the web.</summary>
    public static bool IsAllSaid(JsonValue citation)
    {
        if (!citation.IsObject)
        {
            return false;
        }
        var members = JsonMembers.Of(citation.Raw);
        members.Take("title"u8);
        var contents = new JsonArrayReader(members.Take("sourceContent"u8));
        for (var count = 0; contents.Next(out var content); count++)
        {
            if (count > 0 || !content.IsObject || JsonMembers.Of(content.Raw) is var said && (!said.Take("text"u8).IsText || !said.IsEmpty))
            {
                return false;
            }
        }
        if (members.Take("location"u8) is not { IsObject: true } location)
        {
            return members.IsEmpty;
        }
        var places = JsonMembers.Of(location.Raw);
        var web = places.Take("web"u8);
        var address = web.IsObject ? JsonMembers.Of(web.Raw) : new JsonMembers();
        address.Take("url"u8);
        return web.IsObject && members.IsEmpty && places.IsEmpty && address.IsEmpty;
    }

    /// <summary>Writes one.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="citation">The citation.</param>
    /// <param name="isOwn">Whether it comes from this dialect.</param>
    /// <returns>Whether it has a place here.</returns>
    public static bool TryWrite(IBufferWriter<byte> output, NeutralCitation citation, bool isOwn)
    {
        if (isOwn && !citation.Raw.IsEmpty)
        {
            output.Write(citation.Raw.Span);
            return true;
        }
        if (!citation.Url.Exists)
        {
            return false;
        }
        var json = new JsonObjectWriter(output);
        json.Text("title"u8, citation.Title);
        if (citation.CitedText.Exists)
        {
            json.Name("sourceContent"u8);
            output.Write("[{\"text\":"u8);
            output.WriteText(citation.CitedText);
            output.Write("}]"u8);
        }
        json.Name("location"u8);
        output.Write("{\"web\":{\"url\":"u8);
        output.WriteText(citation.Url);
        output.Write("}}"u8);
        json.End();
        return true;
    }
}
