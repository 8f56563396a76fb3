using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

internal sealed partial class ResponsesRequestReader
{
    private void ReadTools(JsonValue tools)
    {
        Expect(!tools.Exists || tools.IsArray, "tools", "an array of objects");
        var elements = new JsonArrayReader(tools);
        for (var i = 0; elements.Next(out var tool); i++)
        {
            if (Expect(tool.IsObject, $"tools[{i}]", "an object"))
            {
                var read = ReadTool(tool, $"tools[{i}]");
                request.Tools.Add(read);
                form.Tools[read] = tool.Raw;
            }
        }
    }

    private NeutralTool ReadTool(JsonValue tool, string path)
    {
        var members = Open(tool.Raw);
        try
        {
            var type = members.Take("type"u8);
            if (type.Is("function"u8))
            {
                var parameters = members.Take("parameters"u8);
                Expect(!parameters.Exists || parameters.IsObject, path + ".parameters", "a JSON Schema, which is an object");
                var function = new NeutralTool
                {
                    Name = Required(members, "name"u8, path + ".name"),
                    Description = Text(members, "description"u8, path + ".description"),
                    Parameters = parameters.Raw,
                    Strict = Boolean(members, "strict"u8, path + ".strict"),
                };
                members.LeaveTo(function.Extensions);
                return function;
            }
            if (type.Is("custom"u8))
            {
                var custom = new NeutralTool
                {
                    Kind = ToolKind.Custom,
                    Name = Required(members, "name"u8, path + ".name"),
                    Description = Text(members, "description"u8, path + ".description"),
                    Format = members.Take("format"u8).Raw,
                };
                members.LeaveTo(custom.Extensions);
                return custom;
            }
            Expect(type.IsText, path + ".type", "a string");
            return new NeutralTool { Kind = ToolKind.Provider, Name = type.Text, Raw = tool.Raw };
        }
        finally
        {
            Close(members);
        }
    }

    private void ReadToolChoice(JsonMembers members)
    {
        var choice = members.Take("tool_choice"u8);
        if (!choice.Exists)
        {
            return;
        }
        ToolChoiceMode? mode = choice.Is("auto"u8) ? ToolChoiceMode.Auto
            : choice.Is("none"u8) ? ToolChoiceMode.None
            : choice.Is("required"u8) ? ToolChoiceMode.Required
            : null;
        request.ToolChoice = mode is { } simple ? new NeutralToolChoice { Mode = simple } : choice.IsObject ? ReadChoiceObject(choice) : null;
        form.ToolChoice = request.ToolChoice;
        if (request.ToolChoice is null)
        {
            Expect(choice.IsObject, "tool_choice", "'auto', 'none', 'required' or an object");
            members.Return("tool_choice"u8);
        }
    }

    /// <returns>Null: it is of a kind that only this dialect knows.</returns>
    private NeutralToolChoice? ReadChoiceObject(JsonValue choice)
    {
        var members = Open(choice.Raw);
        NeutralToolChoice? read = null;
        var type = members.Take("type"u8);
        var isCustom = type.Is("custom"u8);
        if (isCustom || type.Is("function"u8))
        {
            read = new NeutralToolChoice { Mode = ToolChoiceMode.Named, Kind = isCustom ? ToolKind.Custom : ToolKind.Function };
            read.Names.Add(Required(members, "name"u8, "tool_choice.name"));
            members.LeaveTo(read.Extensions);
        }
        else if (type.Is("allowed_tools"u8))
        {
            read = new NeutralToolChoice { Mode = ToolChoiceMode.Allowed, IsRequired = members.Take("mode"u8).Is("required"u8) };
            var tools = new JsonArrayReader(members.Take("tools"u8));
            while (tools.Next(out var tool))
            {
                var inner = Open(tool.IsObject ? tool.Raw : JsonBytes.EmptyObject);
                var name = inner.Take("name"u8).Text;
                if (name.Exists && (inner.Take("type"u8) is var kind) && (kind.Is("function"u8) || kind.Is("custom"u8)))
                {
                    read.Names.Add(name);
                }
                Close(inner);
            }
            members.LeaveTo(read.Extensions);
        }
        Close(members);
        return read;
    }
}
