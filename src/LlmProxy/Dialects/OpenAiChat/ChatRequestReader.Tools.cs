using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

internal sealed partial class ChatRequestReader
{
    private void ReadTools(JsonMembers members)
    {
        var tools = members.Take("tools"u8);
        Expect(!tools.Exists || tools.IsArray, "tools", "an array of objects");
        var elements = new JsonArrayReader(tools);
        for (var i = 0; elements.Next(out var tool); i++)
        {
            if (Expect(tool.IsObject, $"tools[{i}]", "an object"))
            {
                ReadTool(tool, i);
            }
        }
        var functions = members.Take("functions"u8);
        Expect(!functions.Exists || functions.IsArray, "functions", "an array of objects");
        form.UsesFunctions = functions.Exists;
        elements = new JsonArrayReader(functions);
        for (var i = 0; elements.Next(out var function); i++)
        {
            if (Expect(function.IsObject, $"functions[{i}]", "an object"))
            {
                var inner = Open(function.Raw);
                request.Tools.Add(ReadFunction(inner, $"functions[{i}]", default));
                Close(inner);
            }
        }
    }

    private void ReadTool(JsonValue tool, int index)
    {
        var members = Open(tool.Raw);
        var type = members.Take("type"u8);
        var isCustom = type.Is("custom"u8);
        if (!isCustom && !type.Is("function"u8))
        {
            Expect(type.IsText, $"tools[{index}].type", "a string");
            request.Tools.Add(new NeutralTool { Kind = ToolKind.Provider, Name = type.Text, Raw = tool.Raw });
            Close(members);
            return;
        }
        var path = isCustom ? $"tools[{index}].custom" : $"tools[{index}].function";
        var body = members.Take(isCustom ? "custom"u8 : "function"u8);
        if (Expect(body.IsObject, path, "an object"))
        {
            var inner = Open(body.Raw);
            var added = isCustom ? ReadCustom(inner, path) : ReadFunction(inner, path, "function."u8);
            added.Cache = TakeCache(members);
            members.LeaveTo(added.Extensions);
            request.Tools.Add(added);
            Close(inner);
        }
        Close(members);
    }

    private NeutralTool ReadFunction(JsonMembers members, string path, ReadOnlySpan<byte> prefix)
    {
        var name = Text(members, "name"u8, path + ".name");
        Expect(name.Exists, path + ".name", "a string");
        var parameters = members.Take("parameters"u8);
        Expect(!parameters.Exists || parameters.IsObject, path + ".parameters", "a JSON Schema, which is an object");
        var tool = new NeutralTool
        {
            Name = name,
            Description = Text(members, "description"u8, path + ".description"),
            Parameters = parameters.Raw,
            Strict = Boolean(members, "strict"u8, path + ".strict"),
        };
        members.LeaveTo(tool.Extensions, prefix);
        return tool;
    }

    private NeutralTool ReadCustom(JsonMembers members, string path)
    {
        var name = Text(members, "name"u8, path + ".name");
        Expect(name.Exists, path + ".name", "a string");
        var tool = new NeutralTool { Kind = ToolKind.Custom, Name = name, Description = Text(members, "description"u8, path + ".description"), Format = members.Take("format"u8).Raw };
        members.LeaveTo(tool.Extensions, "custom."u8);
        return tool;
    }

    private void ReadToolChoice(JsonMembers members)
    {
        var choice = members.Take("tool_choice"u8);
        if (choice.Exists)
        {
            request.ToolChoice = choice.IsObject ? ReadChoiceObject(choice) : ModeOf(choice) is { } mode ? new NeutralToolChoice { Mode = mode } : null;
            if (request.ToolChoice is null)
            {
                members.Return("tool_choice"u8);
            }
        }
        var call = members.Take("function_call"u8);
        if (!call.Exists)
        {
            return;
        }
        form.UsesFunctions = true;
        if (ModeOf(call) is { } simple)
        {
            request.ToolChoice = new NeutralToolChoice { Mode = simple };
            return;
        }
        Expect(call.IsObject, "function_call", "'none', 'auto' or an object with the function's name");
        var inner = Open(call.Raw);
        request.ToolChoice = Named(inner, "function_call.name", ToolKind.Function);
        Close(inner);
    }

    private static ToolChoiceMode? ModeOf(JsonValue choice) =>
        choice.Is("auto"u8) ? ToolChoiceMode.Auto
        : choice.Is("none"u8) ? ToolChoiceMode.None
        : choice.Is("required"u8) ? ToolChoiceMode.Required
        : null;

    /// <returns>Null: it is of a kind that only this dialect knows.</returns>
    private NeutralToolChoice? ReadChoiceObject(JsonValue choice)
    {
        var members = Open(choice.Raw);
        var type = members.Take("type"u8);
        var kind = type.Is("custom"u8) ? ToolKind.Custom : ToolKind.Function;
        NeutralToolChoice? read = null;
        if (type.Is("function"u8) || kind == ToolKind.Custom)
        {
            var path = kind == ToolKind.Custom ? "tool_choice.custom" : "tool_choice.function";
            var body = members.Take(kind == ToolKind.Custom ? "custom"u8 : "function"u8);
            if (Expect(body.IsObject, path, "an object with the tool's name"))
            {
                var inner = Open(body.Raw);
                read = Named(inner, path + ".name", kind);
                members.LeaveTo(read.Extensions);
                inner.LeaveTo(read.Extensions, kind == ToolKind.Custom ? "custom."u8 : "function."u8);
                Close(inner);
            }
        }
        else if (type.Is("allowed_tools"u8))
        {
            read = ReadAllowed(members.Take("allowed_tools"u8));
        }
        Close(members);
        return read;
    }

    private NeutralToolChoice Named(JsonMembers members, string path, ToolKind kind)
    {
        var name = Text(members, "name"u8, path);
        Expect(name.Exists, path, "a string");
        var choice = new NeutralToolChoice { Mode = ToolChoiceMode.Named, Kind = kind };
        choice.Names.Add(name);
        return choice;
    }

    /// <returns>Null: it allows other things than functions.</returns>
    private NeutralToolChoice? ReadAllowed(JsonValue allowed)
    {
        if (!Expect(allowed.IsObject, "tool_choice.allowed_tools", "an object"))
        {
            return null;
        }
        var members = Open(allowed.Raw);
        var choice = new NeutralToolChoice { Mode = ToolChoiceMode.Allowed, IsRequired = members.Take("mode"u8).Is("required"u8) };
        var tools = new JsonArrayReader(members.Take("tools"u8));
        var isPlain = true;
        while (tools.Next(out var tool))
        {
            var outer = Open(tool.Raw);
            var function = outer.Take("function"u8);
            var isFunction = outer.Take("type"u8).Is("function"u8) && function.IsObject && outer.IsEmpty;
            var inner = Open(function.Exists ? function.Raw : JsonBytes.EmptyObject);
            var name = inner.Take("name"u8).Text;
            isPlain &= isFunction && name.Exists && inner.IsEmpty;
            choice.Names.Add(name);
            Close(inner);
            Close(outer);
        }
        isPlain &= members.IsEmpty;
        Close(members);
        return isPlain ? choice : null;
    }

    /// <summary>A cache mark in an object: Anthropic's <c>cache_control</c>, which compatible providers took over, or OpenAI's <c>prompt_cache_breakpoint</c>.</summary>
    private CacheMark? TakeCache(JsonMembers members)
    {
        var control = members.Take("cache_control"u8);
        var breakpoint = members.Take("prompt_cache_breakpoint"u8);
        if (control.IsObject && breakpoint.Exists)
        {
            members.Return("prompt_cache_breakpoint"u8); // one mark is enough for the others; this dialect gets both back
        }
        if (control.IsObject)
        {
            var inner = Open(control.Raw);
            var type = inner.Take("type"u8);
            var mark = new CacheMark(inner.Take("ttl"u8).Text);
            if (!type.Is("ephemeral"u8))
            {
                inner.Return("type"u8);
            }
            inner.LeaveTo(mark.Extensions);
            Close(inner);
            return mark;
        }
        if (control.Exists)
        {
            members.Return("cache_control"u8);
        }
        if (!breakpoint.IsObject)
        {
            if (breakpoint.Exists)
            {
                members.Return("prompt_cache_breakpoint"u8);
            }
            return null;
        }
        var point = Open(breakpoint.Raw);
        var made = new CacheMark(point.Take("ttl"u8).Text);
        point.Take("mode"u8);
        point.LeaveTo(made.Extensions);
        Close(point);
        form.InPlace.Add(made);
        return made;
    }
}
